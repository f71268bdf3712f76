package dev.jotune.peft.train;

import java.nio.file.Path;

/** Hears of a run while it trains, on the thread that trains. */
@FunctionalInterface
public interface TrainListener {
    /** Hears nothing. */
    TrainListener NONE = r -> { };

    /** A step is done; it is lost in a crash until {@link #onSaved} names it or a later one. */
    void onStep(StepReport r);

    /** Everything up to {@code step} is on the disk. */
    default void onSaved(long step, Path file) {}

    /** Something the user should know, in a sentence: texts that were cut, a run that goes on or starts anew. */
    default void onNote(String note) {}
}
