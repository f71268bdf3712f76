package dev.jotune.cli;

import dev.jotune.peft.MethodInfo;
import dev.jotune.peft.Methods;
import dev.jotune.peft.UnattachedMethod;
import dev.jotune.peft.decoding.FormulaFunction;
import java.io.PrintWriter;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune methods}: the registry. */
@Command(name = "methods", description = "Lists the tuning methods: paper, seam, equation, number of trained values.",
        optionListHeading = "%nOptions:%n")
final class MethodsCommand implements Runnable {
    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Shows this help.")
    private boolean help;

    @Option(names = "--debug", description = "Prints stack traces.")
    private boolean debug;

    @Option(names = "--markdown", description = "Prints the page docs/METHODS.md.")
    private boolean markdown;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        if (markdown) {
            spec.commandLine().getOut().print(MethodsPage.text());
            spec.commandLine().getOut().flush();
            return;
        }
        Table t = new Table("METHOD", "TITLE", "PAPER", "SEAM", "EQUATION", "TRAINABLE", "PEFT TYPE");
        for (MethodInfo m : Methods.all()) {
            t.row(m.name(), m.title(), "arXiv:" + m.paper(), m.seam(), m.equation(), m.trainable(), m.peftType());
        }
        PrintWriter out = spec.commandLine().getOut();
        out.print(t);
        out.println();
        out.println("n virtual tokens, L layers, G key/value heads, D head size, C hidden size, r rank.");
        out.println("Options of each: 'jotune tune --help'.");
        out.println();
        out.println("Methods that attach nothing to a model:");
        Table unattached = new Table("METHOD", "TITLE", "PAPER", "SEAM", "EQUATION", "USE");
        for (UnattachedMethod m : Methods.unattached()) {
            unattached.row(m.name(), m.title(), "arXiv:" + m.paper(), m.seam(), m.equation(), m.use());
        }
        out.print(unattached);
        out.println();
        out.println("Formulas of 'jotune generate --lm' may call:");
        Table functions = new Table("FUNCTION", "MEANING");
        for (FormulaFunction f : FormulaFunction.values()) {
            functions.row(f.usage(), f.meaning());
        }
        out.print(functions);
        out.flush();
    }
}
