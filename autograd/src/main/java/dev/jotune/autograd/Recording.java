package dev.jotune.autograd;

import java.util.function.Supplier;

/** Whether operations on this thread remember how to go back. On by default. */
public final class Recording {
    /** How operations on a thread record; null stands for {@link #ON}. */
    private enum Mode { ON, ONCE, OFF }

    private static final ThreadLocal<Mode> MODE = new ThreadLocal<>();

    private Recording() {}

    /** True if operations record. */
    public static boolean isOn() {
        return MODE.get() != Mode.OFF;
    }

    /** True if operations record for a single walk that is not differentiated again. */
    static boolean isOnce() {
        return MODE.get() == Mode.ONCE;
    }

    /** Runs {@code body} without recording: inference, optimiser updates, first-order backward passes. */
    public static <T> T off(Supplier<T> body) {
        return with(Mode.OFF, body);
    }

    /**
     * Runs {@code body} recording for one walk of first derivatives, such as a training step's
     * {@link Gradients#consume}: what that walk does not read may be freed on the way forward, see {@link Trim}.
     */
    public static <T> T once(Supplier<T> body) {
        return with(isOn() ? Mode.ONCE : Mode.OFF, body);
    }

    /** Runs {@code body} with recording, also inside {@link #off}. */
    public static <T> T on(Supplier<T> body) {
        return with(Mode.ON, body);
    }

    private static <T> T with(Mode mode, Supplier<T> body) {
        Mode before = MODE.get();
        set(mode);
        try {
            return body.get();
        } finally {
            set(before);
        }
    }

    private static void set(Mode mode) {
        if (mode == null || mode == Mode.ON) {
            MODE.remove();
        } else {
            MODE.set(mode);
        }
    }
}
