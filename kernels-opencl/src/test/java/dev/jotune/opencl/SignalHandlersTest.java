package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The JVM keeps its signal handlers beside a driver that compiles in this process and sets its own. */
class SignalHandlersTest {
    private static final String WARNING = "The OpenCL driver has replaced the JVM's signal handlers";

    @TempDir
    private Path dir;

    /** What a fresh process says that compiles a kernel, none being kept from before. */
    private String run(Optional<Path> preload) throws IOException, InterruptedException {
        assumeTrue(SignalHandlers.handler().isPresent(), "only Linux is known");
        // Skips, or fails, where there is no device.
        Devices.first();
        Path out = dir.resolve("out");
        ProcessBuilder child = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules",
                "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-D" + Tuning.SWITCH + "=false",
                "-D" + Programs.KEEP + "=false", "-XX:ErrorFile=" + dir.resolve("crash%p.log"), "-cp",
                System.getProperty("java.class.path"), SignalRun.class.getName()).redirectErrorStream(true).redirectOutput(out.toFile());
        child.environment().remove("LD_PRELOAD");
        preload.ifPresent(library -> child.environment().put("LD_PRELOAD", library.toString()));
        child.environment().put("POCL_CACHE_DIR", Files.createDirectories(dir.resolve("programs")).toString());
        Process p = child.start();
        assertThat(p.waitFor(5, TimeUnit.MINUTES)).as("it ends").isTrue();
        String said = Files.readString(out);
        assertThat(p.exitValue()).as(said).isZero();
        assertThat(said).contains("compiled: true");
        return said;
    }

    @Test
    void handlersThatADriverReplacedAreTheJvmsAgain() throws Exception {
        String said = run(Optional.empty());
        assertThat(said).contains("before: libjvm.so", "after: libjvm.so");
        if (Devices.first().info().platformName().equals("Portable Computing Language")) {
            assertThat(said).containsOnlyOnce(WARNING);
        }
    }

    @Test
    void theJdksLibraryLeavesNothingToPutBack() throws Exception {
        Path library = Path.of(System.getProperty("java.home"), "lib", "libjsig.so");
        assertThat(library).exists();
        assertThat(run(Optional.of(library))).contains("before: libjvm.so", "after: libjvm.so").doesNotContain(WARNING);
    }
}
