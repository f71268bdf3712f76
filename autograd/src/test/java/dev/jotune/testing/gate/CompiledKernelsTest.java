package dev.jotune.testing.gate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.tensor.Backends;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every kernel reaches the optimising compiler. One that is too big for the first compiler, or that boxes its vectors,
 * stays a hundred times too slow for the life of the process, at random; no test of results sees it and no timing on a
 * busy machine proves it, but the compilers' own log does.
 */
@Tag("heavy")
class CompiledKernelsTest {
    private static final int SECONDS = 90;
    /** For a machine so slow that the first run calls a kernel too rarely: one that a compiler will not take never gets there. */
    private static final int MORE_SECONDS = 420;
    /** Kernels of narrower vectors than the driver runs on. */
    private static final Set<String> NARROW = Set.of("Transpose.lanes4", "Transpose.lanes8");

    @TempDir
    private Path folder;

    @Test
    void everyKernelIsCompiledByTheOptimisingCompiler() throws IOException, InterruptedException {
        assumeTrue(Backends.cpu().description().contains("512-bit"), "which kernels run is known for 512-bit vectors");
        TreeSet<String> missing = missing(SECONDS);
        if (!missing.isEmpty()) {
            missing = missing(MORE_SECONDS);
        }
        assertThat(missing).as("kernels that never reached the optimising compiler").isEmpty();
    }

    /** The gate would notice: the list is not empty, and has the kernels that it must have. */
    @Test
    void kernelsAreFoundInTheByteCode() throws IOException {
        assertThat(kernels()).contains("Tiles4.rows6", "Tiles2.rows6", "DotTiles.tile1x8", "Unary.exp").doesNotContain("Gemm.run");
    }

    private static TreeSet<String> kernels() throws IOException {
        try {
            return HotMethods.of(Path.of(Backends.class.getProtectionDomain().getCodeSource().getLocation().toURI()));
        } catch (URISyntaxException e) {
            throw new IOException("the classes under test lie nowhere. Run the test from a folder or a jar.", e);
        }
    }

    private TreeSet<String> missing(int seconds) throws IOException, InterruptedException {
        CompilerLog log = drive(seconds);
        assertThat(log.givenUp()).as("kernels that a compiler gave up").isEmpty();
        TreeSet<String> missing = new TreeSet<>(kernels());
        missing.removeAll(log.optimised());
        missing.removeIf(k -> NARROW.contains(k) || k.startsWith("StripTiles2"));
        return missing;
    }

    private CompilerLog drive(int seconds) throws IOException, InterruptedException {
        Path log = folder.resolve("compiler.xml");
        Path output = folder.resolve("output.txt");
        // As ./jotune starts Java. One thread: which kernels run does not depend on it.
        Process process = new ProcessBuilder(List.of(ProcessHandle.current().info().command().orElse("java"), "-Xmx1g", "-XX:+UseSerialGC",
                "-XX:+UseCompactObjectHeaders", "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED",
                "-Djotune.threads=1", "-Djotune.extensions=off", "-XX:+UnlockDiagnosticVMOptions", "-XX:+LogCompilation", "-XX:LogFile=" + log,
                "-cp", System.getProperty("java.class.path"), HotDriver.class.getName(), String.valueOf(seconds)))
                .redirectErrorStream(true).redirectOutput(output.toFile()).start();
        assertThat(process.waitFor()).as(Files.readString(output)).isZero();
        return CompilerLog.read(log);
    }
}
