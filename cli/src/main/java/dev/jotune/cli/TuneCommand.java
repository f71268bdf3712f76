package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.LabelledTexts;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.TrainReport;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import dev.jotune.tensor.Backend;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune tune}: trains an adapter on a data set. */
@Command(name = "tune", sortOptions = false,
        customSynopsis = "jotune tune --model=DIR (--method=NAME | --from=DIR) --data=FILE --out=DIR [OPTIONS]",
        description = {"Trains an adapter and saves it as PEFT does.", "",
            "The data are one JSON object a line: {\"text\": ...}, learnt from end to end, or",
            "{\"prompt\": ..., \"completion\": ...}, where only the completion is learnt. Objectives of preferences",
            "such as --objective dpo learn from {\"prompt\": ..., \"chosen\": ..., \"rejected\": ...}.",
            "With --task classify they are {\"text\": ..., \"label\": ...}, perhaps with \"text_pair\", or, in a file named .tsv,",
            "a text, a tab and a label a line; the head of the classifier is trained along."},
        optionListHeading = "%nOptions:%n")
final class TuneCommand implements Runnable {
    /** Method options that were given, by PEFT's name; filled by {@link MethodOptions}. */
    final Map<String, String> methodFields = new TreeMap<>();

    @Mixin
    private ModelOption model;

    @Option(names = "--task", paramLabel = "TASK", defaultValue = "write", description = "What is learnt: to write texts (write), "
            + "or to tell texts apart (classify), with an encoder. Default: ${DEFAULT-VALUE}.")
    private String task;

    @Option(names = "--method", paramLabel = "NAME", description = "lora, prefix, prompt, ...; 'jotune methods' says what there is.")
    private String method;

    @Option(names = "--from", paramLabel = "DIR", description = "Start from a saved adapter instead of a new one; its method and "
            + "settings are kept.")
    private Path from;

    @Option(names = "--data", required = true, paramLabel = "FILE", description = "The examples, JSON lines.")
    private Path data;

    @Option(names = {"--out", "--output-dir"}, required = true, paramLabel = "DIR",
            description = "Where the adapter and the run's checkpoints go.")
    private Path out;

    @Option(names = "--resume", description = "Go on from the last checkpoint in --out, bit for bit as if never interrupted; "
            + "give the same options.")
    private boolean resume;

    @Mixin
    private TrainingOptions training;

    @Mixin
    private StepOptions steps;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        TrainOptions options = training.read();
        Optional<TuningMethod> tuning = method();
        Backend backend = common.backend();
        PrintWriter err = spec.commandLine().getErr();
        Models.Loaded loaded;
        Tokenizer tokenizer;
        Dataset examples;
        if (classifies()) {
            LabelledTexts texts = LabelledTexts.read(data);
            loaded = model.classifier(backend, texts.labels(), options.seed());
            tokenizer = loaded.requireTokenizer();
            SequenceClassifier classifier = loaded.as(SequenceClassifier.class);
            int most = options.maxLength() == 0 ? classifier.contextLength() : Math.min(options.maxLength(), classifier.contextLength());
            examples = Dataset.ofLabelled(texts, tokenizer, classifier.labels(), most);
        } else {
            loaded = model.load(backend);
            tokenizer = loaded.requireTokenizer();
            examples = steps.isPaired() ? Dataset.readPreferences(data, tokenizer, loaded.generation(), options.maxLength())
                    : Dataset.readJsonl(data, tokenizer, loaded.generation(), options.maxLength());
        }
        TrainingStep step = steps.read(TrainingStep.of(loaded.backbone()), loaded.generation(), options.seed());
        Adapter adapter = tuning.isPresent() ? attach(loaded, tokenizer, tuning.get(), options.seed())
                : Adapters.load(loaded.backbone(), Adapters.DEFAULT_NAME, from).basedOn(loaded.name());
        err.printf(Locale.ROOT, "%s on %s: %,d trainable values, %,d examples%n", adapter.method().peftType(), loaded.name(),
                adapter.trainableCount(), examples.size());
        err.flush();
        report(train(adapter, examples, options, step, err));
    }

    /** What to train anew; empty where a saved adapter says it. */
    private Optional<TuningMethod> method() {
        if (from == null) {
            if (method == null) {
                throw new UsageException("neither --method nor --from is given. Name a method, or a saved adapter to start from");
            }
            return Optional.of(MethodOptions.read(method, methodFields));
        }
        if (method != null || !methodFields.isEmpty()) {
            throw new UsageException("--from brings the method and the settings of the adapter in " + from + ". Leave out "
                    + (method != null ? "--method " + method : "--" + methodFields.keySet().iterator().next().replace('_', '-')));
        }
        return Optional.empty();
    }

    private boolean classifies() {
        return switch (task) {
            case "classify" -> true;
            case "write" -> false;
            default -> throw new UsageException("--task: there is no task '" + task + "'. Tasks: write, classify");
        };
    }

    private static Adapter attach(Models.Loaded loaded, Tokenizer tokenizer, TuningMethod tuning, long seed) {
        try {
            return Adapters.create(loaded.backbone(), Adapters.DEFAULT_NAME, tuning, seed,
                    Optional.of(text -> tokenizer.encode(text, false).ids())).basedOn(loaded.name());
        } catch (AdapterException e) {
            // The model is sound, so an option asks for what it does not have.
            throw new UsageException(e.getMessage(), e);
        }
    }

    private TrainReport train(Adapter adapter, Dataset examples, TrainOptions options, TrainingStep step, PrintWriter err) {
        try (Progress progress = new Progress(err)) {
            return progress.resumable(() -> Trainer.run(adapter, examples, options, step, Optional.of(out), resume, progress));
        }
    }

    private void report(TrainReport r) {
        PrintWriter print = spec.commandLine().getOut();
        print.printf(Locale.ROOT, "loss %.4f -> %.4f in %,d steps, %.1f s, %,.0f tokens/s, peak memory %s%n",
                r.losses().isEmpty() ? Double.NaN : r.losses().getFirst(), r.lastLoss(), r.steps(), r.seconds(),
                r.tokensPerSecond(), Bytes.text(r.peakBytes()));
        print.println("saved " + out);
        print.flush();
    }
}
