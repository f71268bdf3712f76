package dev.jotune.cli;

import dev.jotune.peft.train.LabelledTexts;
import dev.jotune.tensor.Backend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune compare}: all methods on the same task with the same budget. */
@Command(name = "compare", sortOptions = false,
        customSynopsis = "jotune compare --model=DIR --data=NAME=TRAIN,TEST... --out=DIR [OPTIONS]",
        description = {"Trains an encoder to tell texts apart, with every method and the same budget, and measures accuracy, trained values, "
            + "time and memory of a step, and the size of the file.", "",
            "The data are as for 'jotune tune --task classify'. What is found is written to results.jsonl in --out line by line; the same "
            + "command goes on where it was stopped. A method trains at the best of --rates, chosen on the first task and seed 0 "
            + "by the training loss of a short run. The steps of a method are timed in turn with those of --reference."},
        optionListHeading = "%nOptions:%n")
final class CompareCommand implements Runnable {
    private static final String RESULTS = "results.jsonl";

    @Mixin
    private ModelOption model;

    @Option(names = "--data", required = true, paramLabel = "NAME=TRAIN,TEST", description = "A task: its name, a file to learn from and one "
            + "to measure on; repeatable.")
    private Map<String, String> data = new LinkedHashMap<>();

    @Option(names = {"--out", "--output-dir"}, required = true, paramLabel = "DIR", description = "Where results.jsonl goes.")
    private Path out;

    @Option(names = "--page", paramLabel = "FILE", description = "Writes tables and plots as Markdown; the plots lie beside it as SVG.")
    private Optional<Path> page = Optional.empty();

    @Option(names = "--page-only", description = "Makes the page of what has been found; trains nothing.")
    private boolean pageOnly;

    @Option(names = "--methods", paramLabel = "NAMES", split = ",", defaultValue = "all", description = "Rows of the plan, between commas. "
            + "Default: ${DEFAULT-VALUE}.")
    private List<String> names;

    @Option(names = "--plan", paramLabel = "FILE", description = "Rows of your own: a JSON list of {\"name\", \"options\"}, options as 'jotune "
            + "tune' takes them, perhaps with \"rates\" and a \"remark\". Default: Jotune's.")
    private Optional<Path> plan = Optional.empty();

    @Option(names = "--seeds", paramLabel = "NUMBERS", split = ",", defaultValue = "1,2,3", description = "One after the other. "
            + "Default: ${DEFAULT-VALUE}.")
    private List<Long> seeds;

    @Option(names = "--max-steps", paramLabel = "N", defaultValue = "50", description = "Updates of a run. Default: ${DEFAULT-VALUE}.")
    private int steps;

    @Option(names = "--batch-size", paramLabel = "N", split = ",", defaultValue = "16", description = "Rows of an update: one number, or one "
            + "for each task. Default: ${DEFAULT-VALUE}.")
    private List<Integer> batches;

    @Option(names = "--max-length", paramLabel = "N", split = ",", defaultValue = "64", description = "Tokens of a text; what is longer loses "
            + "its end. Likewise. Default: ${DEFAULT-VALUE}.")
    private List<Integer> lengths;

    @Option(names = "--rates", paramLabel = "NUMBERS", split = ",", defaultValue = "5e-4,2e-3,1e-2", description = "Learning rates to choose "
            + "from; of one alone nothing is searched. Default: ${DEFAULT-VALUE}.")
    private List<Double> rates;

    @Option(names = "--search-steps", paramLabel = "N", defaultValue = "15", description = "Updates for each rate. Default: ${DEFAULT-VALUE}.")
    private int searchSteps;

    @Option(names = "--timed-steps", paramLabel = "N", defaultValue = "10", description = "Steps of each side when they are timed. "
            + "Default: ${DEFAULT-VALUE}.")
    private int timedSteps;

    @Option(names = "--eval-examples", paramLabel = "N", defaultValue = "500", description = "Texts to measure on, the same for all; 0: "
            + "the whole file. Default: ${DEFAULT-VALUE}.")
    private int evaluated;

    @Option(names = "--reference", paramLabel = "NAME", defaultValue = "lora", description = "The row that steps are timed against. "
            + "Default: ${DEFAULT-VALUE}.")
    private String reference;

    @Mixin
    private CommonOptions common;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        try {
            compare();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void compare() throws IOException {
        List<ComparedMethod> rows = ComparisonPlan.read(plan);
        List<ComparedMethod> chosen = ComparisonPlan.select(rows, names);
        ComparedMethod beside = ComparisonPlan.named(rows, reference);
        check();
        Stream.concat(chosen.stream(), Stream.of(beside)).forEach(m -> m.check(steps));
        if (!pageOnly) {
            Backend backend = common.backend();
            List<Comparison.Data> tasks = tasks();
            ComparisonResults.Setting setting = new ComparisonResults.Setting(modelName(), tasks.stream().map(Comparison.Data::task).toList(),
                    steps, searchSteps, rates, timedSteps, reference, backend.description());
            Files.createDirectories(out);
            ComparisonResults results = ComparisonResults.open(out.resolve(RESULTS));
            requireSame(results, setting);
            new Comparison(setting, tasks, chosen, beside, results, (labels, seed) -> model.classifier(backend, labels, seed),
                    spec.commandLine().getErr()).run(seeds);
        }
        if (page.isPresent()) {
            write(new ComparisonSummary(ComparisonResults.open(out.resolve(RESULTS)), rows), page.get());
        }
    }

    private void write(ComparisonSummary summary, Path to) throws IOException {
        Files.writeString(to, ComparisonPage.text(summary));
        for (String task : summary.tasks()) {
            Files.writeString(to.resolveSibling(ComparisonPage.plot(task)), ComparisonPlot.svg(summary, task));
        }
        spec.commandLine().getOut().println("wrote " + to);
    }

    private void check() {
        for (Map.Entry<String, Integer> e : Map.of("--max-steps", steps, "--search-steps", searchSteps, "--timed-steps", timedSteps).entrySet()) {
            if (e.getValue() < 1) {
                throw new UsageException(e.getKey() + " is " + e.getValue() + "; it must be at least 1");
            }
        }
        if (evaluated < 0) {
            throw new UsageException("--eval-examples is " + evaluated + "; it must be 0 (all) or more");
        }
        each("--batch-size", batches, 1);
        each("--max-length", lengths, 2);
        if (rates.stream().anyMatch(r -> !(r > 0 && Double.isFinite(r)))) {
            throw new UsageException("--rates is " + rates + "; each must be above 0");
        }
    }

    private void each(String option, List<Integer> values, int least) {
        if (values.size() != 1 && values.size() != data.size() || values.stream().anyMatch(v -> v < least)) {
            throw new UsageException(option + " is " + values + ". Give one number, or one for each of the " + data.size()
                    + " tasks, each at least " + least);
        }
    }

    private static int of(List<Integer> values, int task) {
        return values.get(values.size() == 1 ? 0 : task);
    }

    private List<Comparison.Data> tasks() {
        List<Comparison.Data> tasks = new ArrayList<>();
        for (Map.Entry<String, String> e : data.entrySet()) {
            String[] files = e.getValue().split(",");
            if (files.length != 2 || !e.getKey().matches("[\\w-]+")) {
                throw new UsageException("--data: '" + e.getKey() + "=" + e.getValue() + "' is not a name and two files. Write for example "
                        + "--data sst2=train.tsv,dev.tsv");
            }
            LabelledTexts train = LabelledTexts.read(Path.of(files[0]));
            LabelledTexts test = LabelledTexts.read(Path.of(files[1]));
            int measured = evaluated == 0 ? test.rows().size() : Math.min(evaluated, test.rows().size());
            tasks.add(new Comparison.Data(new ComparisonResults.Task(e.getKey(), train.labels().size(), train.rows().size(), measured,
                    of(batches, tasks.size()), of(lengths, tasks.size())), train, test, train.labels()));
        }
        return tasks;
    }

    private String modelName() {
        return Path.of(model.name()).getFileName().toString();
    }

    /** A table of runs with different budgets would compare nothing. */
    private void requireSame(ComparisonResults results, ComparisonResults.Setting setting) {
        if (results.setting().isEmpty()) {
            results.add(setting);
        } else if (!results.setting().get().equals(setting)) {
            throw new UsageException(out.resolve(RESULTS) + " is of another comparison: " + results.setting().get() + ", not " + setting
                    + ". Give the same options, or another --out");
        }
    }
}
