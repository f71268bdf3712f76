package dev.jotune.jmh.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.cuda.CompiledAhead;
import dev.jotune.cuda.Emulation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A machine with a driver and no compiler can tune, write and measure: of all kernels that {@link Commands} and the rows of
 * {@code bench/gpu} at full size ask for, on chips of both kinds, the jar has what the driver takes. The device is one that computes
 * nothing. With {@code -D}{@value CompiledAhead#WRITE}{@code =true} what is in the jar is written anew.
 */
@Tag("heavy")
class CompiledAheadTest {
    private static final Path ROOT = Path.of(System.getProperty("jotune.root", ".."));
    private static final List<String> CHIPS = List.of("80", "90");

    @TempDir
    static Path dir;
    private static Path emulator;

    @BeforeAll
    static void emulatorIsThere() throws IOException, InterruptedException {
        Emulation.install();
        emulator = Path.of(System.getProperty("jotune.cuda.library")).getParent();
        boolean anew = Boolean.getBoolean(CompiledAhead.WRITE);
        for (String chip : CHIPS) {
            ask(chip, anew ? "libnvrtc.so.13" : "none");
        }
        if (anew) {
            CompiledAhead.writeSteps(CompiledAhead.compile(dir.resolve("texts"), dir), dir);
        }
    }

    /** Asks the device for everything; the texts that this took lie in {@code texts} then. */
    private static void ask(String chip, String compiler) throws IOException, InterruptedException {
        List<String> rows = new ArrayList<>(java(compiler, Measure.class.getName()));
        rows.addAll(List.of("cuda:0", dir.resolve("rows-" + chip + "-" + compiler).toString(), "asked", Long.toString(Long.MAX_VALUE), "all"));
        run(rows, chip);
        List<String> commands = new ArrayList<>(java(compiler, Commands.class.getName()));
        commands.add(dir.resolve("commands-" + chip + "-" + compiler).toString());
        run(commands, chip);
    }

    private static List<String> java(String compiler, String main) {
        return List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "--add-modules", "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-Xmx3g", "-Djotune.row.seconds=600", "-Djotune.root=" + ROOT,
                "-Djotune.cache=" + dir.resolve("cache"), "-Djotune.cuda.record=" + dir.resolve("texts"),
                "-Djotune.cuda.library=" + emulator.resolve("libcuda.so.1"), "-Djotune.cuda.nvrtc=" + emulator.resolve(compiler),
                "-cp", System.getProperty("java.class.path"), main);
    }

    private static void run(List<String> command, String chip) throws IOException, InterruptedException {
        Path log = Files.createTempFile(dir, "log", ".txt");
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        // As an H100 and an A100 have them, nearly: how large a device is decides which kernels are asked for.
        builder.environment().put("JOTUNE_EMULATOR", "idle=yes units=132 memory=80000000000 capability=" + chip);
        Process p = builder.start();
        if (!p.waitFor(20, TimeUnit.MINUTES)) {
            p.destroyForcibly();
        }
        assertThat(p.waitFor()).as("kernels of chip %s are missing (%s), or more is wrong: %s", chip, CompiledAhead.advice("CompiledAheadTest"),
                Files.readString(log)).isZero();
    }

    private static Set<String> texts() throws IOException {
        try (Stream<Path> files = Files.walk(dir.resolve("texts"))) {
            return files.filter(Files::isRegularFile).map(f -> f.getFileName().toString().replace(".cu", ""))
                    .collect(Collectors.toCollection(TreeSet::new));
        }
    }

    @Test
    void theListIsWhatIsAskedFor() throws IOException {
        assertThat(texts()).as(CompiledAhead.advice("CompiledAheadTest")).isEqualTo(CompiledAhead.steps());
    }

    @Test
    void theCompilerThatMadeThemMakesThemAgain() throws IOException, InterruptedException {
        CompiledAhead.compilerIsTheSame(dir);
        for (Map.Entry<String, String> e : CompiledAhead.compile(dir.resolve("texts"), dir).entrySet()) {
            assertThat(CompiledAhead.ptx(e.getKey())).as(e.getKey()).isEqualTo(e.getValue());
        }
    }
}
