package dev.jotune.peft.train;

import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Trains an adapter.
 *
 * <p>With a run folder, everything needed to go on is saved in {@code checkpoints/} there, and the adapter in the
 * folder itself when the run is done. All that is random follows from (seed, step), so a run that was killed at any
 * moment and resumed gives the same losses and the same adapter, bit for bit, as one that was not (on the same
 * backend and machine).
 */
public final class Trainer {
    private Trainer() {}

    /** Trains {@code adapter} with cross-entropy, of tokens or of classes, in silence and saves nothing. */
    public static TrainReport run(Adapter adapter, Dataset data, TrainOptions options) {
        return run(adapter, data, options, Optional.empty(), false, TrainListener.NONE);
    }

    /**
     * Trains {@code adapter} with cross-entropy, of tokens or of classes as its model is made for; what else is active on its model runs along.
     *
     * @param runFolder where checkpoints and the adapter go; without it nothing is saved
     * @param resume go on from the last checkpoint of the folder; without one the run starts anew, with a note
     * @return what happened; the adapter's tensors are trained in place
     * @throws AdapterException if the data leave nothing to learn, a checkpoint is of another run, nothing can be
     *     written, or the loss becomes NaN or infinite; the last checkpoint then stays
     */
    public static TrainReport run(Adapter adapter, Dataset data, TrainOptions options, Optional<Path> runFolder,
            boolean resume, TrainListener listener) {
        return run(adapter, data, options, TrainingStep.of(adapter.model()), runFolder, resume, listener);
    }

    /** As above, with another training step. */
    public static TrainReport run(Adapter adapter, Dataset data, TrainOptions options, TrainingStep step,
            Optional<Path> runFolder, boolean resume, TrainListener listener) {
        TrainReport report = checkpointed(adapter, data, options, step, runFolder, resume, listener);
        runFolder.ifPresent(adapter::save);
        return report;
    }

    /** As above, but a run folder gets checkpoints alone: for those who keep what was trained in another form. */
    public static TrainReport checkpointed(Adapter adapter, Dataset data, TrainOptions options, TrainingStep step,
            Optional<Path> runFolder, boolean resume, TrainListener listener) {
        return new TrainingRun(adapter, data, options, step, runFolder, listener).run(resume);
    }
}
