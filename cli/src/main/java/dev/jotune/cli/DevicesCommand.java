package dev.jotune.cli;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.BackendProvider;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.KernelTime;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code jotune devices}: what can compute here, and why something cannot. */
@Command(name = "devices", description = "Lists what can compute on this machine, and why something cannot.",
        optionListHeading = "%nOptions:%n")
final class DevicesCommand implements Runnable {
    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Shows this help.")
    private boolean help;

    @Option(names = "--profile", description = "Runs a small workload on every device that can measure itself and prints what each kernel took.")
    private boolean profile;

    @Option(names = "--debug", description = "Prints stack traces.")
    private boolean debug;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        Table t = new Table("DEVICE", "KIND", "RUNS ON", "NOTE");
        for (BackendProvider p : Backends.providers()) {
            List<Backend> backends = p.backends();
            String note = p.note().isEmpty() ? "-" : p.note();
            for (Backend b : backends) {
                t.row(b.name(), p.kind(), b.description(), note);
            }
            if (backends.isEmpty()) {
                t.row("(none)", p.kind(), "-", note);
            }
        }
        PrintWriter out = spec.commandLine().getOut();
        out.print(t);
        out.println();
        out.println("Default: " + Backends.all().getFirst().name() + ". Choose with --device NAME; --threads N limits the cores.");
        if (profile) {
            for (Backend b : Backends.all()) {
                profile(b, out);
            }
        }
        out.flush();
    }

    private static void profile(Backend b, PrintWriter out) {
        out.println();
        if (!b.startProfile()) {
            out.println(b.name() + " does not measure its kernels.");
            return;
        }
        try {
            SampleWork.run(b);
        } finally {
            Table t = new Table("KERNEL ON " + b.name(), "CALLS", "TOTAL us", "MEDIAN us");
            for (KernelTime k : b.stopProfile()) {
                t.row(k.kernel(), Long.toString(k.calls()), String.format(Locale.ROOT, "%.1f", k.totalMicros()),
                        String.format(Locale.ROOT, "%.1f", k.medianMicros()));
            }
            out.print(t);
        }
    }
}
