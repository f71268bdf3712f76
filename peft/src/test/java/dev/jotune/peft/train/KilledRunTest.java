package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A JVM that trains is killed without warning, again and again; nothing that it reported saved is lost. */
class KilledRunTest {
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(0.02).withMaxSteps(20)
            .withBatchSize(2).withSaveEvery(2);
    /** After which step to kill, and how many microseconds later: saving follows even steps. */
    private static final int[][] KILLS = {{4, 0}, {9, 500}, {14, 2000}};

    @TempDir
    private Path folder;

    /** The program that is killed: trains into the folder it is given, resuming what is there. */
    static final class Program {
        private Program() {}

        public static void main(String[] args) {
            System.out.println("losses " + train(Path.of(args[0]), System.out));
        }

        static List<Double> train(Path run, PrintStream out) {
            Adapter a = Adapters.create(TinyModel.make(Backends.cpu(), DType.F32), "default", TinyModel.method("lora"),
                    1);
            TrainReport r = Trainer.run(a, TinyModel.texts(7), OPTIONS, Optional.of(run), true, new TrainListener() {
                @Override
                public void onStep(StepReport report) {
                    out.println("step " + report.step());
                }

                @Override
                public void onSaved(long step, Path file) {
                    out.println("saved " + step);
                }
            });
            return r.losses();
        }
    }

    private Process start(Path run) throws IOException {
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin",
                "java").toString()));
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()) {
            command.addAll(List.of("--add-modules", "jdk.incubator.vector"));
        }
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp",
                System.getProperty("java.class.path"), Program.class.getName(), run.toString()));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    }

    private static long number(String line) {
        return Long.parseLong(line.substring(line.indexOf(' ') + 1));
    }

    @Test
    void aKilledRunResumesBitForBit() throws Exception {
        List<Double> whole = Program.train(folder.resolve("whole"), new PrintStream(OutputStream.nullOutputStream()));
        Path run = folder.resolve("killed");
        long saved = 0;
        for (int[] kill : KILLS) {
            saved = killed(run, saved, kill[0], kill[1]);
        }
        Process last = start(run);
        try (BufferedReader out = last.inputReader()) {
            List<String> lines = out.lines().collect(Collectors.toList());
            assertThat(last.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(lines).last().isEqualTo("losses " + whole);
            assertThat(lines).contains("step 20").doesNotContain("step " + saved);
        }
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors")) {
            assertThat(run.resolve(name)).hasSameBinaryContentAs(folder.resolve("whole").resolve(name));
        }
        try (var left = Files.list(run.resolve("checkpoints"))) {
            assertThat(left.map(f -> f.getFileName().toString())).allMatch(n -> n.matches("run-\\d+\\.safetensors"));
        }
    }

    /**
     * Starts the program and kills it {@code microseconds} after it has reported {@code step}: while it computes or
     * while it writes.
     *
     * @return the last step that was reported saved
     */
    private long killed(Path run, long savedBefore, long step, long microseconds) throws Exception {
        Process p = start(run);
        long saved = savedBefore;
        boolean reached = false;
        try (BufferedReader out = p.inputReader()) {
            String line = out.readLine();
            assertThat(line).as("the first step goes on from what was saved").startsWith("step ");
            assertThat(number(line)).isGreaterThan(savedBefore);
            for (; line != null; line = out.readLine()) {
                saved = line.startsWith("saved") ? number(line) : saved;
                if (!reached && line.equals("step " + step)) {
                    reached = true;
                    TimeUnit.MICROSECONDS.sleep(microseconds);
                    // Not through Process, which would close the pipe with what is still in it.
                    p.toHandle().destroyForcibly();
                }
            }
        }
        assertThat(p.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(p.exitValue()).as("killed, not finished").isNotZero();
        return saved;
    }
}
