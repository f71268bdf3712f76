package dev.jotune.jmh.claims;

import dev.jotune.jmh.claims.Claim.Finding;
import dev.jotune.jmh.claims.Claim.Table;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/** Claims and what was measured of them as a page of Markdown. */
final class Page {
    /** A load below which nobody else is at work. */
    private static final double QUIET = 0.7;

    private Page() {}

    static String text(List<Claim> claims, Results results) {
        StringBuilder out = new StringBuilder("""
                # Claims

                Made by `bench/claims/run.sh` from `bench/claims/results.jsonl`, which it writes. [METHODS.md](METHODS.md) has the equations.

                The catalogue of methods says of each when it works. Where a test can show that, a test does. Here is what takes an experiment: the
                condition, how it was measured, and what came out, reached or not.

                """);
        row(out, List.of("", "method", "asked", "measured", "reached"));
        row(out, List.of("---", "---", "---", "---", "---"));
        for (Claim c : claims) {
            if (results.of(c).isEmpty()) {
                row(out, List.of(c.id(), c.method(), "`bench/claims/run.sh " + c.id() + "`", "not run yet", ""));
                continue;
            }
            for (Finding f : c.findings(results.of(c))) {
                row(out, List.of(c.id(), c.method(), f.what() + ": " + f.asked(), f.measured(), f.reached() ? "yes" : "**no**"));
            }
        }
        claims.stream().filter(c -> !results.of(c).isEmpty()).forEach(c -> add(out, c, results));
        return out.toString();
    }

    /** What was found, a claim a line: the cells of METHODS.md, which lead to the sections of this page. */
    static String cells(List<Claim> claims, Results results) {
        return claims.stream().filter(c -> !results.of(c).isEmpty()).map(c -> Row.of("method", c.registered(), "claim", c.id(), "section",
                heading(c).toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9 -]", "").replace(' ', '-'), "found", c.findings(results.of(c)).stream()
                        .map(f -> f.what() + ": " + f.measured() + (f.reached() ? "" : " (not as asked)")).collect(Collectors.joining("; "))))
                .map(Results::line).collect(Collectors.joining());
    }

    private static String heading(Claim c) {
        return c.id() + ": " + c.method();
    }

    private static void add(StringBuilder out, Claim c, Results results) {
        out.append("\n## ").append(heading(c)).append("\n\n");
        out.append("> ").append(c.condition()).append("\n\n").append(c.setup());
        out.append("\n\nWhat else the catalogue asks of it is shown by `").append(c.test()).append("`.\n\n");
        out.append(circumstances(results.circumstances(c))).append("\n");
        for (Table t : c.tables(results.of(c))) {
            out.append("\n").append(t.title()).append(":\n\n");
            row(out, t.head());
            row(out, t.head().stream().map(_ -> "---").toList());
            t.rows().forEach(r -> row(out, r));
        }
        if (!c.remark().isEmpty()) {
            out.append("\n").append(c.remark()).append("\n");
        }
    }

    private static String circumstances(List<Row> runs) {
        double load = runs.stream().mapToDouble(r -> r.number("load")).max().orElse(0);
        return "Run on " + runs.stream().map(r -> r.text("date") + " on " + r.text("device")).distinct().collect(Collectors.joining("; "))
                + (load > QUIET ? ". The machine was shared: its load was up to " + Math.round(load) + " as the runs began." : ".");
    }

    /** Bars would end a cell. */
    private static void row(StringBuilder out, List<String> cells) {
        cells.forEach(c -> out.append("| ").append(c.replace("|", "\\|")).append(' '));
        out.append("|\n");
    }
}
