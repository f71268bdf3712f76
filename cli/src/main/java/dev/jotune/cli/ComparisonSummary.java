package dev.jotune.cli;

import dev.jotune.peft.Methods;
import dev.jotune.peft.UnattachedMethod;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** The rows of a comparison, over all seeds. */
record ComparisonSummary(ComparisonResults results, List<ComparedMethod> plan) {
    /** The row where nothing but the head trains; others whose names begin with this and a hyphen are the same at other rates. */
    static final String BASELINE = "head";
    private static final Pattern METHOD = Pattern.compile("--method (\\S+)");

    /** Of the comparison that comes with Jotune; empty if it has none. */
    static ComparisonSummary bundled() {
        try (InputStream in = ComparisonSummary.class.getResourceAsStream("comparison/results.jsonl")) {
            String text = in == null ? "" : new String(in.readAllBytes(), StandardCharsets.UTF_8);
            return new ComparisonSummary(ComparisonResults.of(text, "results.jsonl"), ComparisonPlan.bundled());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** What was found for a row on a task; there is at least one run. */
    record Row(String name, List<ComparisonResults.Run> runs, Optional<ComparisonResults.Cost> cost) {
        double mean() {
            return runs.stream().mapToDouble(ComparisonResults.Run::accuracy).average().orElseThrow();
        }

        /** Between seeds; 0 of one alone. */
        double deviation() {
            double mean = mean();
            double sum = runs.stream().mapToDouble(r -> (r.accuracy() - mean) * (r.accuracy() - mean)).sum();
            return runs.size() < 2 ? 0 : Math.sqrt(sum / (runs.size() - 1));
        }

        ComparisonResults.Run first() {
            return runs.getFirst();
        }
    }

    /** The best first. */
    List<Row> rows(String task) {
        return results.methods().stream().filter(m -> !results.runs(task, m).isEmpty()).map(m -> row(task, m))
                .sorted(Comparator.comparingDouble(Row::mean).reversed()).toList();
    }

    private Row row(String task, String method) {
        return new Row(method, results.runs(task, method), results.cost(task, method));
    }

    Optional<Row> baseline(String task) {
        return rows(task).stream().filter(r -> r.name().equals(BASELINE)).findFirst();
    }

    /** Whether rows lack seeds that others have, or costs. */
    boolean isPartial() {
        List<Row> all = tasks().stream().flatMap(t -> rows(t).stream()).toList();
        int seeds = all.stream().mapToInt(r -> r.runs().size()).max().orElse(0);
        return all.stream().anyMatch(r -> r.runs().size() < seeds || r.cost().isEmpty());
    }

    /** The head alone at a row's rate, where that is another than the head's own choice. */
    Optional<Row> slowHead(String task, Row row) {
        return rows(task).stream().filter(r -> r.name().startsWith(BASELINE + "-") && r.first().rate() == row.first().rate()).findFirst();
    }

    /** Two standard errors of the head's accuracy on so many texts: less than this is no difference. */
    static double tolerance(Row head) {
        double p = head.mean();
        return 2 * Math.sqrt(p * (1 - p) / head.first().total());
    }

    /** Rows that do no better than the head alone. */
    List<Row> nulls(String task) {
        return baseline(task).map(head -> rows(task).stream()
                .filter(r -> !r.name().startsWith(BASELINE) && r.mean() <= head.mean() + tolerance(head)).toList()).orElse(List.of());
    }

    /** What was refused on a task, with the reason of the first seed; once for what was refused on all of them. */
    List<ComparisonResults.Refused> refused() {
        return results.methods().stream().flatMap(m -> tasks().stream().filter(t -> results.runs(t, m).isEmpty())
                .flatMap(t -> results.refusals(t, m).stream().limit(1)).limit(isMeasured(m) ? Long.MAX_VALUE : 1)).toList();
    }

    /** Whether a task has a row of it. */
    boolean isMeasured(String method) {
        return tasks().stream().anyMatch(t -> !results.runs(t, method).isEmpty());
    }

    List<String> tasks() {
        return results.setting().map(s -> s.tasks().stream().map(ComparisonResults.Task::name).toList()).orElse(List.of());
    }

    Optional<ComparedMethod> planned(String name) {
        return plan.stream().filter(p -> p.name().equals(name)).findFirst();
    }

    /** Where the row's method acts: its first seam. */
    String seam(String name) {
        Optional<UnattachedMethod> trainer = Methods.unattached().stream().filter(u -> u.name().equals(name)).findFirst();
        if (trainer.isPresent()) {
            return trainer.get().seam();
        }
        Matcher m = METHOD.matcher(planned(name).map(ComparedMethod::options).orElse("--method " + name));
        String method = m.find() ? m.group(1) : name;
        return Methods.all().stream().filter(i -> i.name().equals(method)).map(i -> i.seam().replaceFirst(",.*", "")).findFirst().orElse("other");
    }

    /** A cell that says how a method did. */
    String measured(String name) {
        List<String> parts = tasks().stream().flatMap(t -> rows(t).stream().filter(r -> r.name().equals(name))
                .map(r -> t + " " + percent(r.mean()) + " %")).toList();
        if (parts.isEmpty()) {
            return refused().stream().anyMatch(r -> r.method().equals(name)) ? "not for this encoder" : "never measured";
        }
        String time = tasks().stream().flatMap(t -> results.cost(t, name).stream()).map(c -> String.format(Locale.ROOT, "; step %.2f", c.ratio()))
                .findFirst().orElse("");
        return parts.stream().collect(Collectors.joining(", ")) + time;
    }

    static String percent(double share) {
        return String.format(Locale.ROOT, "%.1f", 100 * share);
    }
}
