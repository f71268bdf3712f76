package dev.jotune.cli;

import dev.jotune.peft.train.StepReport;
import dev.jotune.peft.train.TrainListener;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.function.Supplier;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** Shows a training run: a bar with loss and speed on a terminal, a line now and then elsewhere. */
final class Progress implements TrainListener, AutoCloseable {
    private static final int LINES = 10;
    private static final int REFRESH_MILLIS = 200;

    private final PrintWriter err;
    private final String task;
    private final boolean terminal;
    private ProgressBar bar;
    private long saved;

    Progress(PrintWriter err) {
        this(err, "tuning");
    }

    /** @param task what the bar is called */
    Progress(PrintWriter err, String task) {
        this.err = err;
        this.task = task;
        this.terminal = System.console() != null && System.console().isTerminal();
    }

    /** Runs what trains and saves, and says on Ctrl-C up to where it is saved. */
    <T> T resumable(Supplier<T> training) {
        Thread onInterrupt = new Thread(() -> {
            close();
            err.println("jotune: interrupted; saved up to step " + saved + ". Run the same command with --resume to go on.");
            err.flush();
        });
        Runtime.getRuntime().addShutdownHook(onInterrupt);
        try {
            return training.get();
        } finally {
            removeHook(onInterrupt);
        }
    }

    private static void removeHook(Thread hook) {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The JVM is going down already; then the hook has its say.
        }
    }

    @Override
    public void onStep(StepReport r) {
        String state = String.format(Locale.ROOT, "loss %.4f  %,.0f tokens/s", r.loss(), r.tokensPerSecond());
        if (terminal) {
            if (bar == null) {
                bar = new ProgressBarBuilder().setTaskName(task).setInitialMax(r.totalSteps())
                        .startsFrom(r.step() - 1, Duration.ZERO).setStyle(ProgressBarStyle.UNICODE_BLOCK)
                        .setUpdateIntervalMillis(REFRESH_MILLIS).build();
            }
            bar.setExtraMessage(" " + state);
            bar.stepTo(r.step());
        } else if (r.step() == 1 || r.step() == r.totalSteps() || r.step() % Math.max(1, r.totalSteps() / LINES) == 0) {
            err.println("step " + r.step() + "/" + r.totalSteps() + "  " + state);
            err.flush();
        }
    }

    @Override
    public void onSaved(long step, Path file) {
        saved = step;
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
        }
    }
}
