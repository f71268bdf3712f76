package dev.jotune.cli;

import dev.jotune.models.hub.Hub;
import dev.jotune.models.hub.HubSettings;
import dev.jotune.models.hub.PullListener;
import dev.jotune.models.hub.RepoId;
import dev.jotune.models.hub.Selection;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code jotune pull}: fetches a model from the hub into the cache that the hub's own client uses. */
@Command(name = "pull", sortOptions = false, description = "Fetches a model from the Hugging Face hub; run again, it goes on where "
        + "it stopped. Prints the folder. Other commands then know the model as --model OWNER/NAME.",
        optionListHeading = "%nOptions:%n", footerHeading = "%nEnvironment:%n",
        footer = {"  HF_TOKEN      proves who you are, for private and gated models",
            "  HF_ENDPOINT   another server than https://huggingface.co",
            "  HF_HUB_CACHE  the cache; or HF_HOME, whose folder hub it is"})
final class PullCommand implements Runnable {
    @Parameters(paramLabel = "OWNER/NAME", description = "The model as the hub calls it.")
    private String model;

    @Option(names = "--revision", paramLabel = "NAME", description = "A branch, tag or commit. Default: main.")
    private String revision = "main";

    @Option(names = "--include", paramLabel = "PATTERN", description = "Files to fetch, such as '*.gguf'; repeatable. Default: "
            + "configuration, tokenizer and the weights as safetensors.")
    private List<String> include = new ArrayList<>();

    @Option(names = "--exclude", paramLabel = "PATTERN", description = "Files to leave out; repeatable.")
    private List<String> exclude = new ArrayList<>();

    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Shows this help.")
    private boolean help;

    @Option(names = "--debug", description = "Prints stack traces.")
    private boolean debug;

    @Spec
    private CommandSpec spec;

    @Override
    public void run() {
        RepoId repo = RepoId.of(model).orElseThrow(() -> new UsageException("'" + model + "' is no model of the hub. Write "
                + "OWNER/NAME, such as HuggingFaceTB/SmolLM2-135M"));
        PrintWriter out = spec.commandLine().getOut();
        try (Report report = new Report(spec.commandLine().getErr())) {
            Path folder = new Hub(HubSettings.fromEnvironment()).pull(repo, revision, new Selection(include, exclude), report);
            report.close();
            out.println(folder);
            out.flush();
        }
    }

    /** A bar on a terminal, a line for each file elsewhere. */
    private static final class Report implements PullListener, AutoCloseable {
        private static final long MEGABYTE = 1 << 20;

        private final PrintWriter err;
        private final boolean terminal = System.console() != null && System.console().isTerminal();
        private ProgressBar bar;

        Report(PrintWriter err) {
            this.err = err;
        }

        @Override
        public void onStart(int files, long bytes) {
            if (terminal) {
                bar = new ProgressBarBuilder().setTaskName(files + " files").setInitialMax(bytes).setUnit(" MB", MEGABYTE)
                        .setStyle(ProgressBarStyle.UNICODE_BLOCK).showSpeed().build();
            } else {
                err.println(files + " files, " + Bytes.text(bytes));
                err.flush();
            }
        }

        @Override
        public void onBytes(long bytes) {
            if (bar != null) {
                bar.stepBy(bytes);
            }
        }

        @Override
        public void onFile(String path, boolean fetched) {
            if (bar == null) {
                err.println((fetched ? "fetched " : "have    ") + path);
                err.flush();
            } else {
                bar.setExtraMessage(" " + path);
            }
        }

        @Override
        public void onNote(String note) {
            err.println("note: " + note);
            err.flush();
        }

        @Override
        public void close() {
            if (bar != null) {
                bar.close();
                bar = null;
            }
        }
    }
}
