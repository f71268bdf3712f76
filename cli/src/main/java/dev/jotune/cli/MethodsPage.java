package dev.jotune.cli;

import dev.jotune.peft.MethodInfo;
import dev.jotune.peft.Methods;
import dev.jotune.peft.UnattachedMethod;
import dev.jotune.peft.decoding.FormulaFunction;

/** The registry as a page of Markdown. */
final class MethodsPage {
    private MethodsPage() {}

    static String text() {
        Measured measured = new Measured(ComparisonSummary.bundled(), ClaimCells.bundled());
        StringBuilder out = new StringBuilder("""
                # Methods

                Made by `./jotune methods --markdown` from the registry. [SEAMS.md](SEAMS.md) says what the seams are.

                ## Methods that attach to a model

                Train one with `./jotune tune --method NAME`; `./jotune tune --help` lists the options of each. n virtual tokens, L layers, H heads,
                G key/value heads, D head size, C hidden size, r rank, m a method's own width, N and E state and inner size of Mamba.

                Measured are accuracy after a short run, and the time of a step beside LoRA's: [COMPARISON.md](COMPARISON.md) says of what, and how.
                Where a method is for something else, an experiment measures that: [CLAIMS.md](CLAIMS.md).

                """);
        row(out, "name", "method", "paper", "seam", "definition", "trained values", "`peft_type`", "measured");
        row(out, "---", "---", "---", "---", "---", "---", "---", "---");
        for (MethodInfo m : Methods.all()) {
            row(out, code(m.name()), m.title(), paper(m.paper()), m.seam(), code(m.equation()), code(m.trainable()), code(m.peftType()),
                    measured.of(m.name()));
        }
        out.append("""

                ## Methods that attach nothing

                """);
        row(out, "name", "method", "paper", "seam", "definition", "use", "shown by", "measured");
        row(out, "---", "---", "---", "---", "---", "---", "---", "---");
        for (UnattachedMethod m : Methods.unattached()) {
            row(out, code(m.name()), m.title(), paper(m.paper()), m.seam(), code(m.equation()), code(m.use()), code(m.test()),
                    measured.of(m.name()));
        }
        out.append("""

                Formulas of `./jotune generate --lm` may call:

                """);
        row(out, "function", "meaning");
        row(out, "---", "---");
        for (FormulaFunction f : FormulaFunction.values()) {
            row(out, code(f.usage()), f.meaning());
        }
        return out.toString();
    }

    private record Measured(ComparisonSummary comparison, ClaimCells claims) {
        String of(String method) {
            if (method.equals("proxy")) {
                return "share of the gap to a larger model: [PROXY.md](PROXY.md)";
            }
            String compared = comparison.measured(method);
            // What an experiment of its own measured says more than that the comparison has no row.
            return claims.of(method).map(c -> comparison.isMeasured(method) ? compared + "; " + c : c).orElse(compared);
        }
    }

    private static String paper(String id) {
        return "[" + id + "](https://arxiv.org/abs/" + id + ")";
    }

    private static String code(String text) {
        return "`" + text + "`";
    }

    /** Bars would end a cell, even in code. */
    static void row(StringBuilder out, String... cells) {
        for (String c : cells) {
            out.append("| ").append(c.replace("|", "\\|")).append(' ');
        }
        out.append("|\n");
    }
}
