package dev.jotune.cli;

import dev.jotune.models.CausalLm;
import dev.jotune.models.Models;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Evaluation;
import dev.jotune.tensor.Backend;
import java.io.PrintWriter;
import java.nio.file.Path;
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
            "  choices      {\"prompt\": ..., \"choices\": [...], \"answer\": index}: the likeliest is right"},
        optionListHeading = "%nOptions:%n")
final class EvalCommand implements Runnable {
    /** What is measured. */
    enum Task { perplexity, exact_match, choices }

    @Mixin
    private ModelOption model;

    @Mixin
    private AdapterOptions adapters;

    @Option(names = "--task", required = true, paramLabel = "TASK", description = "perplexity, exact-match or choices.")
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
        Backend backend = common.backend();
        Models.Loaded loaded = model.load(backend);
        adapters.attach(loaded.model());
        PrintWriter out = spec.commandLine().getOut();
        out.println(measure(chosen, loaded));
        out.flush();
    }

    private Task chosen() {
        for (Task t : Task.values()) {
            if (t.name().replace('_', '-').equals(task.replace('_', '-'))) {
                return t;
            }
        }
        throw new UsageException("--task: there is no task '" + task + "'. Tasks: perplexity, exact-match, choices");
    }

    private String measure(Task chosen, Models.Loaded loaded) {
        CausalLm lm = loaded.model();
        Tokenizer tokenizer = loaded.requireTokenizer();
        Pass pass = lm.seams().inference();
        return switch (chosen) {
            case perplexity -> {
                Dataset texts = Dataset.readJsonl(data, tokenizer, loaded.generation(), maxLength);
                Evaluation.Perplexity p = Evaluation.perplexity(lm, texts, pass);
                yield String.format(Locale.ROOT, "perplexity %.4f  (%.6f nats a token, %,d tokens, %d examples%s)", p.value(),
                        p.negativeLogLikelihood(), p.tokens(), texts.size(), p.cut() == 0 ? "" : ", " + p.cut() + " cut");
            }
            case exact_match -> score("exact match", Evaluation.exactMatch(lm, tokenizer, loaded.generation(), pass,
                    Evaluation.readPairs(data)));
            case choices -> score("accuracy", Evaluation.choiceAccuracy(lm, tokenizer, loaded.generation(), pass,
                    Evaluation.readChoices(data)));
        };
    }

    private String score(String name, Evaluation.Score s) {
        if (s.total() == 0) {
            throw new FailureException(data + " holds no example. 'jotune eval --help' shows what a line looks like");
        }
        return String.format(Locale.ROOT, "%s %.4f  (%d of %d)", name, s.share(), s.right(), s.total());
    }
}
