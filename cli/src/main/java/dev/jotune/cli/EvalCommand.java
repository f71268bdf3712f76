package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Evaluation;
import dev.jotune.peft.train.LabelledTexts;
import dev.jotune.tensor.Backend;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune eval}: measures a model, with or without adapters. */
@Command(name = "eval", sortOptions = false,
        description = {"Measures a model on a data set, one JSON object a line.", "",
            "  perplexity   {\"text\": ...} or {\"prompt\": ..., \"completion\": ...} (of the completion only)",
            "  exact-match  {\"prompt\": ..., \"completion\": ...}: greedy decoding gives the completion",
            "  choices      {\"prompt\": ..., \"choices\": [...], \"answer\": index}: the likeliest is right",
            "  classify     {\"text\": ..., \"label\": ...}, or text, tab and label in a file named .tsv: the class is right"},
        optionListHeading = "%nOptions:%n")
final class EvalCommand implements Runnable {
    /** What is measured. */
    enum Task { perplexity, exact_match, choices, classify }

    @Mixin
    private ModelOption model;

    @Mixin
    private AdapterOptions adapters;

    @Mixin
    private CombinationArguments combination;

    @Option(names = "--task", required = true, paramLabel = "TASK", description = "perplexity, exact-match, choices or classify.")
    private String task;

    @Option(names = "--data", required = true, paramLabel = "FILE", description = "The examples, JSON lines.")
    private Path data;

    @Option(names = "--max-length", paramLabel = "N", description = "Tokens of a text; what is longer loses its end. "
            + "Default: the model's context.")
    private int maxLength;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        Task chosen = chosen();
        combination.check();
        if (combination.isGiven() && chosen != Task.perplexity && chosen != Task.exact_match) {
            throw new UsageException("--lm combines models that write, and is measured by perplexity or exact-match, not by " + task
                    + ". Leave --lm out, or choose one of these tasks");
        }
        Backend backend = common.backend();
        Models.Loaded loaded = chosen == Task.classify ? model.classifier(backend, adapters.labels(), 0) : model.load(backend);
        adapters.attach(loaded.backbone());
        PrintWriter out = spec.commandLine().getOut();
        out.println(combination.isGiven() ? combined(chosen, loaded, backend) : measure(chosen, loaded));
        out.flush();
    }

    private Task chosen() {
        for (Task t : Task.values()) {
            if (t.name().replace('_', '-').equals(task.replace('_', '-'))) {
                return t;
            }
        }
        throw new UsageException("--task: there is no task '" + task + "'. Tasks: perplexity, exact-match, choices, classify");
    }

    private String measure(Task chosen, Models.Loaded loaded) {
        Tokenizer tokenizer = loaded.requireTokenizer();
        Pass pass = loaded.backbone().seams().inference();
        return switch (chosen) {
            case perplexity -> {
                Dataset texts = Dataset.readJsonl(data, tokenizer, loaded.generation(), maxLength);
                yield text(Evaluation.perplexity(loaded.model(), texts, pass), texts);
            }
            case exact_match -> score("exact match", Evaluation.exactMatch(loaded.model(), tokenizer, loaded.generation(), pass,
                    Evaluation.readPairs(data)));
            case choices -> score("accuracy", Evaluation.choiceAccuracy(loaded.model(), tokenizer, loaded.generation(), pass,
                    Evaluation.readChoices(data)));
            case classify -> classes(loaded.as(SequenceClassifier.class), tokenizer);
        };
    }

    private String combined(Task chosen, Models.Loaded loaded, Backend backend) {
        CombinationArguments.Combination read = combination.read(loaded, backend);
        read.notes().forEach(spec.commandLine().getErr()::println);
        LanguageModel combined = read.model();
        Tokenizer tokenizer = loaded.requireTokenizer();
        if (chosen == Task.exact_match) {
            return score("exact match", Evaluation.exactMatch(combined, tokenizer, loaded.generation(), Evaluation.readPairs(data)));
        }
        Dataset texts = Dataset.readJsonl(data, tokenizer, loaded.generation(), maxLength);
        return text(Evaluation.perplexity(combined, texts), texts);
    }

    private static String text(Evaluation.Perplexity p, Dataset texts) {
        return String.format(Locale.ROOT, "perplexity %.4f  (%.6f nats a token, %,d tokens, %d examples%s)", p.value(),
                p.negativeLogLikelihood(), p.tokens(), texts.size(), p.cut() == 0 ? "" : ", " + p.cut() + " cut");
    }

    private String classes(SequenceClassifier classifier, Tokenizer tokenizer) {
        int most = maxLength == 0 ? classifier.contextLength() : Math.min(maxLength, classifier.contextLength());
        // The adapter may name classes that a checkpoint's own configuration only numbers.
        List<String> labels = adapters.labels().isEmpty() ? classifier.labels() : adapters.labels();
        Dataset texts = Dataset.ofLabelled(LabelledTexts.read(data), tokenizer, labels, most);
        return score("accuracy", Evaluation.accuracy(classifier, texts, classifier.seams().inference()));
    }

    private String score(String name, Evaluation.Score s) {
        if (s.total() == 0) {
            throw new FailureException(data + " holds no example. 'jotune eval --help' shows what a line looks like");
        }
        return String.format(Locale.ROOT, "%s %.4f  (%d of %d)", name, s.share(), s.right(), s.total());
    }
}
