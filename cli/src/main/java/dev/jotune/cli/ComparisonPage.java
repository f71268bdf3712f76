package dev.jotune.cli;

import dev.jotune.peft.Methods;
import dev.jotune.peft.UnattachedMethod;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** A comparison as a page of Markdown; every number is of its results. */
final class ComparisonPage {
    private ComparisonPage() {}

    static String text(ComparisonSummary s) {
        ComparisonResults.Setting setting = s.results().setting().orElseThrow(() ->
                new FailureException("nothing has been compared yet, so there is no page to make. Compare first"));
        StringBuilder out = new StringBuilder();
        head(out, setting);
        if (s.isPartial()) {
            out.append("\n**Not whole yet**: some rows have fewer seeds than others, or no costs (`?`). The same command goes on.\n");
        }
        for (ComparisonResults.Task task : setting.tasks()) {
            task(out, s, setting, task);
        }
        nulls(out, s);
        left(out, s);
        options(out, s);
        return out.toString();
    }

    /** The file of a task's plot. */
    static String plot(String task) {
        return "comparison-" + task + ".svg";
    }

    private static void head(StringBuilder out, ComparisonResults.Setting setting) {
        out.append("""
                # The methods beside each other

                Made by `bench/comparison/run.sh MODEL CLINC150 SST2`; the head of that script says where to get what. It runs `./jotune compare`,
                which compares on other models and texts as well.

                Model: %s, with a classifier's head that begins at random. Every row trains that head, and beside it what the method adds. Every
                row has the same budget: %,d updates by AdamW, clipped at norm 1, at a rate that falls linearly to 0, on the same texts in the
                same order. The rate is the best of %s by the training loss in the last half of %,d updates on seed 0 of the first task,
                where no text comes twice; rows that say other rates name them below. Nothing was chosen by the texts that accuracy is
                measured on.

                Device: %s.

                - **accuracy**: percent of the texts to measure on, the mean over the seeds, and each seed's.
                - **own**: numbers that train beside the head; **all**: with the head.
                - **step**: how long an update takes beside one of `%s` on the same texts, %,d of each in turn in the same process: the median
                  of their ratios, and the quartiles. What else the machine does falls on both; what `%s` beside itself differs from 1 by
                  is noise.
                - **memory**: the most memory that tensors take in an update, beyond the model that is ready to be used: what is added, its
                  gradients and moments, and everything between the layers. It is counted, not sampled; but what earlier rows left and the
                  collector took only during the update counts in its favour, so that rows of the same options may differ.
                - **file**: `adapter_model.safetensors`, the head included.
                """.formatted(setting.model(), setting.steps(), rates(setting.rates()), setting.searchSteps(), setting.device(),
                setting.reference(), setting.timedSteps(), setting.reference()));
    }

    private static String rates(List<Double> rates) {
        return rates.stream().map(ComparisonPage::rate).collect(Collectors.joining(", "));
    }

    private static String rate(double r) {
        return String.format(Locale.ROOT, "%.0e", r).replace("e-0", "e-");
    }

    private static void task(StringBuilder out, ComparisonSummary s, ComparisonResults.Setting setting, ComparisonResults.Task task) {
        List<ComparisonSummary.Row> rows = s.rows(task.name());
        out.append(String.format(Locale.ROOT, "%n## %s%n%n%,d classes, %,d texts to learn from in batches of %d, at most %d tokens of each; "
                + "accuracy on %,d texts.%n%n", task.name(), task.classes(), task.examples(), task.batchSize(), task.maxLength(), task.evaluated()));
        out.append("![Accuracy over trained values](").append(plot(task.name())).append(")\n\n");
        MethodsPage.row(out, "row", "accuracy", "seeds", "rate", "own", "all", "step / " + setting.reference(), "memory, MiB", "file, KiB");
        MethodsPage.row(out, "---", "---:", "---", "---:", "---:", "---:", "---:", "---:", "---:");
        for (ComparisonSummary.Row r : rows) {
            MethodsPage.row(out, "`" + r.name() + "`", ComparisonSummary.percent(r.mean()), seeds(r), rate(r.first().rate()),
                    r.cost().map(c -> count(c.own())).orElse("?"), r.cost().map(c -> count(c.trained())).orElse("?"),
                    r.cost().map(c -> String.format(Locale.ROOT, "%.2f (%.2f to %.2f)", c.ratio(), c.low(), c.high())).orElse("?"),
                    r.cost().map(c -> String.format(Locale.ROOT, "%.0f", c.memory() / (double) (1 << 20))).orElse("?"),
                    String.format(Locale.ROOT, "%,.0f", r.first().file() / 1024.0));
        }
        s.results().cost(task.name(), setting.reference()).ifPresent(c -> out.append(String.format(Locale.ROOT,
                "%nA step of `%s` took %.2f s there and then.%n", setting.reference(), c.seconds())));
    }

    private static String seeds(ComparisonSummary.Row r) {
        return r.runs().stream().map(x -> ComparisonSummary.percent(x.accuracy())).collect(Collectors.joining(", "));
    }

    private static String count(long n) {
        return String.format(Locale.ROOT, "%,d", n);
    }

    private static void nulls(StringBuilder out, ComparisonSummary s) {
        out.append("\n## No better than the head alone\n\nWithin two standard errors of the head's accuracy, or below.\n\n");
        boolean any = false;
        for (String task : s.tasks()) {
            for (ComparisonSummary.Row r : s.nulls(task)) {
                any = true;
                ComparisonSummary.Row head = s.baseline(task).orElseThrow();
                out.append(String.format(Locale.ROOT, "- `%s` on %s: %s %%, the head alone %s %%%s. %s%n", r.name(), task,
                        ComparisonSummary.percent(r.mean()), ComparisonSummary.percent(head.mean()), s.slowHead(task, r).map(h ->
                                ", and " + ComparisonSummary.percent(h.mean()) + " % at this row's rate of " + rate(h.first().rate())).orElse(""),
                        reason(s, r.name())));
            }
        }
        if (!any) {
            out.append("None.\n");
        }
    }

    private static String reason(ComparisonSummary s, String name) {
        return s.planned(name).map(ComparedMethod::remark).filter(r -> !r.isEmpty()).orElse("Why is not known.");
    }

    private static void left(StringBuilder out, ComparisonSummary s) {
        out.append("\n## What does not train here\n\n");
        MethodsPage.row(out, "row", "reason");
        MethodsPage.row(out, "---", "---");
        s.refused().forEach(r -> MethodsPage.row(out, "`" + r.method() + "`" + (s.isMeasured(r.method()) ? " on " + r.task() : ""),
                r.reason()));
        for (UnattachedMethod u : Methods.unattached()) {
            if (s.planned(u.name()).isEmpty()) {
                MethodsPage.row(out, "`" + u.name() + "`", why(u));
            }
        }
    }

    /** Of a method that trains nothing. */
    private static String why(UnattachedMethod u) {
        return switch (u.seam()) {
            case "logits" -> "It combines language models while they write; nothing trains.";
            case "weights as vectors" -> "It combines or compresses what was trained before; nothing trains.";
            case "training step" -> "Its loss is of answers that are preferred or rewarded, not of classes.";
            default -> "It changes what a model does while it runs; nothing trains.";
        };
    }

    private static void options(StringBuilder out, ComparisonSummary s) {
        out.append("\n## The rows\n\nWhat `jotune tune` takes for each; `{steps}` is the number of updates, `{head}` the modules of the head, "
                + "`{special}` the ids of `[CLS]` and `[SEP]`.\n\n");
        MethodsPage.row(out, "row", "options", "rates", "remark");
        MethodsPage.row(out, "---", "---", "---", "---");
        for (String name : s.results().methods()) {
            s.planned(name).ifPresent(p -> MethodsPage.row(out, "`" + name + "`", "`" + p.options() + "`",
                    p.rates().isEmpty() ? "" : rates(p.rates()), p.remark()));
        }
    }
}
