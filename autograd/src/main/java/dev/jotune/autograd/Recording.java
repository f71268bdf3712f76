package dev.jotune.autograd;

import java.util.function.Supplier;

/** Whether operations on this thread remember how to go back. On by default. */
public final class Recording {
    private static final ThreadLocal<Boolean> OFF = new ThreadLocal<>();

    private Recording() {}

    /** True if operations record. */
    public static boolean isOn() {
        return OFF.get() == null;
    }

    /** Runs {@code body} without recording: inference, optimiser updates, first-order backward passes. */
    public static <T> T off(Supplier<T> body) {
        return with(true, body);
    }

    /** Runs {@code body} with recording, also inside {@link #off}. */
    public static <T> T on(Supplier<T> body) {
        return with(false, body);
    }

    private static <T> T with(boolean off, Supplier<T> body) {
        Boolean before = OFF.get();
        set(off ? Boolean.TRUE : null);
        try {
            return body.get();
        } finally {
            set(before);
        }
    }

    private static void set(Boolean value) {
        if (value == null) {
            OFF.remove();
        } else {
            OFF.set(value);
        }
    }
}
