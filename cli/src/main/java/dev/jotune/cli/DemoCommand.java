package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.TextGenerator;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.TrainReport;
import dev.jotune.peft.train.Trainer;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.io.AtomicFiles;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SequencedMap;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune demo}: the whole job in one go, on the embedded model. */
@Command(name = "demo", sortOptions = false,
        description = {"Tunes a prefix that makes the embedded story model an excited narrator.", "",
            "Measure: the share of sentences that end with an exclamation mark, over " + DemoCommand.ROWS + " sampled",
            "continuations (temperature 0.7, top-p 0.9, " + DemoCommand.NEW_TOKENS + " tokens) of each of 4 fixed prompts,",
            "before and after the tuning.",
            "Target: at least 75%% after. The exit code is 1 if it is missed."},
        optionListHeading = "%nOptions:%n")
final class DemoCommand implements Runnable {
    static final int ROWS = 4;
    static final int NEW_TOKENS = 80;
    static final double TARGET = 0.75;
    private static final List<String> PROMPTS = List.of("Once upon a time, there was a little dog",
            "Once upon a time, there was a girl named Lily", "Tom had a big red ball", "One day, a boy named Tim");

    @Option(names = "--out", paramLabel = "DIR", description = "Where adapter and report go. Default: ${DEFAULT-VALUE}.")
    private Path out = Path.of("jotune-demo");

    @Option(names = "--max-steps", paramLabel = "N", description = "Updates. Default: ${DEFAULT-VALUE}.")
    private int maxSteps = 120;

    @Option(names = "--seed", paramLabel = "N", description = "Of start, order and samples. Default: ${DEFAULT-VALUE}.")
    private long seed = 1;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    private PrintWriter print;
    private long sampledTokens;
    private double samplingSeconds;

    @Override
    public void run() {
        long start = System.nanoTime();
        if (maxSteps < 1) {
            throw new UsageException("--max-steps is " + maxSteps + "; it must be at least 1");
        }
        print = spec.commandLine().getOut();
        Backend backend = common.backend();
        Models.Loaded model = Models.embedded(backend, DType.F32);
        say("The model: %s, %,d parameters, on %s.%n", model.name(), parameters(model), backend.description());
        List<List<String>> before = sample(model);
        PrefixTuning method = new PrefixTuning(16, true, Optional.empty(), Optional.empty(), List.of());
        Adapter adapter = Adapters.create(model.model(), Adapters.DEFAULT_NAME, method, seed).basedOn(model.name());
        TrainOptions options = TrainOptions.DEFAULTS.withLearningRate(0.02).withMaxSteps(maxSteps).withBatchSize(8)
                .withMaxLength(96).withWarmupSteps(5).withSaveEvery(0).withSeed(seed);
        Dataset data = Dataset.readJsonl(stories(), model.requireTokenizer(), model.generation(), options.maxLength());
        say("Tuning a prefix of %d virtual tokens (%,d trainable values) on %d stories, told excitedly.%n",
                method.numVirtualTokens(), adapter.trainableCount(), data.size());
        TrainReport training = train(adapter, data, options);
        List<List<String>> after = sample(model);
        DemoResult result = new DemoResult(settings(model, backend, adapter, method, options, data), training, PROMPTS, before, after,
                (System.nanoTime() - start) / 1e9, sampledTokens / Math.max(1e-9, samplingSeconds));
        tell(result);
        save(adapter, result);
        if (result.excitementAfter().share() < TARGET) {
            throw new FailureException(String.format(Locale.ROOT, "the demo's target was missed: %s of the sentences end with an "
                    + "exclamation mark, wanted %.0f%%. Train longer with --max-steps", result.excitementAfter(), 100 * TARGET));
        }
    }

    private TrainReport train(Adapter adapter, Dataset data, TrainOptions options) {
        try (Progress progress = new Progress(spec.commandLine().getErr())) {
            return Trainer.run(adapter, data, options, Optional.empty(), false, progress);
        }
    }

    /** The bundled data set, as a file. */
    private static Path stories() {
        try (InputStream in = DemoCommand.class.getResourceAsStream("demo/stories.jsonl")) {
            Path file = Files.createTempFile("jotune-demo", ".jsonl");
            file.toFile().deleteOnExit();
            Files.write(file, in.readAllBytes());
            return file;
        } catch (IOException e) {
            throw new FailureException("cannot unpack the demo's stories: " + e.getMessage()
                    + ". Free space where temporary files go, or set JOTUNE_JAVA_OPTS=-Djava.io.tmpdir=DIR", e);
        }
    }

    /** Continuations of every prompt, under whatever adapter is active. */
    private List<List<String>> sample(Models.Loaded model) {
        SamplingOptions options = SamplingOptions.builder().doSample(true).temperature(0.7).topP(0.9).maxNewTokens(NEW_TOKENS).seed(seed)
                .eosTokenIds(model.generation().eosTokenIds()).build();
        TextGenerator generator = new TextGenerator(model, options);
        long start = System.nanoTime();
        List<List<String>> all = new ArrayList<>();
        for (int p = 0; p < PROMPTS.size(); p++) {
            List<String> rows = new ArrayList<>();
            for (int r = 0; r < ROWS; r++) {
                Generation g = generator.generate(PROMPTS.get(p), (long) p * ROWS + r);
                rows.add(g.text().replaceAll("\\s+", " "));
                sampledTokens += g.newTokens();
            }
            all.add(rows);
        }
        samplingSeconds += (System.nanoTime() - start) / 1e9;
        return all;
    }

    private static long parameters(Models.Loaded model) {
        return model.model().seams().parameters().values().stream().mapToLong(Parameter::numel).sum();
    }

    private static SequencedMap<String, String> settings(Models.Loaded model, Backend backend, Adapter adapter, PrefixTuning method,
            TrainOptions o, Dataset data) {
        SequencedMap<String, String> s = new LinkedHashMap<>();
        s.put("model", String.format(Locale.ROOT, "%s (llama, %,d parameters)", model.name(), parameters(model)));
        s.put("method", method.peftType() + ", " + method.numVirtualTokens() + " virtual tokens, through an MLP");
        s.put("trainable values", String.format(Locale.ROOT, "%,d (%.2f%%)", adapter.trainableCount(),
                100.0 * adapter.trainableCount() / parameters(model)));
        s.put("data", data.size() + " stories, at most " + o.maxLength() + " tokens each");
        s.put("steps", Integer.toString(o.maxSteps()));
        s.put("batch size", Integer.toString(o.batchSize()));
        s.put("optimiser", o.optimizer() + ", learning rate " + o.learningRate() + ", " + o.schedule() + " schedule, "
                + o.warmupSteps() + " warm-up steps");
        s.put("seed", Long.toString(o.seed()));
        s.put("device", backend.name() + ": " + backend.description());
        s.put("Java", System.getProperty("java.vm.name") + " " + Runtime.version());
        return s;
    }

    private void tell(DemoResult r) {
        for (int p = 0; p < r.prompts().size(); p++) {
            say("%n%s ...%n", r.prompts().get(p));
            say("  before: %s%s%n", r.prompts().get(p), r.before().get(p).getFirst());
            say("  after:  %s%s%n", r.prompts().get(p), r.after().get(p).getFirst());
        }
        say("%nloss %.3f -> %.3f in %d steps, %.1f s, %,.0f tokens/s; peak tensor memory %s%n", r.training().losses().getFirst(),
                r.training().lastLoss(), r.training().steps(), r.training().seconds(), r.training().tokensPerSecond(),
                Bytes.text(r.training().peakBytes()));
        say("sentences ending with an exclamation mark: %s before, %s after%n", r.excitementBefore(), r.excitementAfter());
    }

    private void save(Adapter adapter, DemoResult result) {
        adapter.save(out);
        try {
            AtomicFiles.write(out.resolve("report.html"), AtomicFiles.Content.text(DemoReport.html(result)));
        } catch (IOException e) {
            throw new FailureException("cannot write the report: " + e.getMessage(), e);
        }
        say("saved the adapter and %s; %.1f s in all%n", out.resolve("report.html"), result.seconds());
    }

    private void say(String format, Object... values) {
        print.printf(Locale.ROOT, format, values);
        print.flush();
    }
}
