package dev.jotune.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Real processes, really killed, and a file size limit that fails a write as a full disk does. */
class AtomicFilesCrashTest {

    private static final int KILLS = 4;
    private static final int SIZE = 100_000;

    @TempDir
    Path folder;

    /** Saves generation after generation, and reports each one once it is saved. */
    static final class Saver {

        public static void main(String[] args) throws IOException {
            Path folder = Path.of(args[0]);
            for (int generation = Integer.parseInt(args[1]);; generation++) {
                byte[] weights = new byte[SIZE];
                Arrays.fill(weights, (byte) generation);
                SequencedMap<String, AtomicFiles.Content> set = new LinkedHashMap<>();
                set.put("weights", AtomicFiles.Content.bytes(weights));
                set.put("config", AtomicFiles.Content.text(Integer.toString(generation)));
                AtomicFiles.writeAll(folder, set);
                System.out.println(generation);
            }
        }
    }

    /** Writes more than it may. */
    static final class TooMuch {

        public static void main(String[] args) {
            try {
                AtomicFiles.write(Path.of(args[0]), AtomicFiles.Content.bytes(new byte[1 << 20]));
            } catch (IOException e) {
                System.out.println(e.getMessage());
            }
        }
    }

    @Test
    @Timeout(120)
    void aKilledSaverLosesNothingThatItReported() throws Exception {
        SplittableRandom random = new SplittableRandom(3);
        int reported = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            Process saver = java(List.of(), Saver.class, folder.toString(), Integer.toString(reported + 1));
            try (BufferedReader out = saver.inputReader(StandardCharsets.US_ASCII)) {
                reported = Integer.parseInt(out.readLine());
                Thread.sleep(random.nextInt(5, 150));
                // Through the handle, since the process itself would close the pipe with what it still holds.
                saver.toHandle().destroyForcibly();
                saver.waitFor();
                for (String line = out.readLine(); line != null && !line.isEmpty(); line = out.readLine()) {
                    // The last line may have been cut short.
                    reported = Math.max(reported, Integer.parseInt(line));
                }
            }
            AtomicFiles.recover(folder);
            int saved = Integer.parseInt(Files.readString(folder.resolve("config")));
            assertThat(saved).isBetween(reported, reported + 1);
            byte[] expected = new byte[SIZE];
            Arrays.fill(expected, (byte) saved);
            assertThat(Files.readAllBytes(folder.resolve("weights"))).isEqualTo(expected);
            reported = saved;
        }
        AtomicFiles.writeString(folder.resolve("last"), "x");
        assertThat(AtomicFilesTest.names(folder)).containsExactly("config", "last", "weights");
    }

    @Test
    @Timeout(60)
    void aWriteThatTheSystemStopsKeepsTheOldFile() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/bin/sh")), "needs a shell with ulimit");
        Path file = folder.resolve("a.bin");
        AtomicFiles.writeString(file, "old");
        Process writer = java(List.of("/bin/sh", "-c", "ulimit -f 256; exec \"$@\"", "sh"), TooMuch.class,
                file.toString());
        String output = new String(writer.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(writer.waitFor(30, TimeUnit.SECONDS)).isTrue();
        assertThat(output).contains(file.toString()).contains("What was there before is unchanged");
        assertThat(file).hasContent("old");
        assertThat(AtomicFilesTest.names(folder)).containsExactly("a.bin");
    }

    private static Process java(List<String> before, Class<?> main, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(before);
        command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-Xmx64m",
                "-cp", System.getProperty("java.class.path"), main.getName()));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }
}
