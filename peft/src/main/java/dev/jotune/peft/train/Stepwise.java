package dev.jotune.peft.train;

import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import java.util.Optional;

/**
 * A run whose updates the caller takes one by one, as {@link Trainer} would: so that several runs can take turns, for example to
 * compare what their steps cost. Nothing is saved. Before each step the adapter must be active on its model, and no other adapter
 * that should not run along.
 */
public final class Stepwise implements AutoCloseable {
    private final TrainingRun run;

    /**
     * @param options their number of steps is that of the schedule; more may be taken only up to it
     * @throws AdapterException as {@link Trainer#run}
     */
    public Stepwise(Adapter adapter, Dataset data, TrainOptions options, TrainingStep step) {
        run = new TrainingRun(adapter, data, options, step, Optional.empty(), TrainListener.NONE);
        run.begin();
    }

    /**
     * The next update.
     *
     * @return the loss before it
     * @throws IllegalStateException if the run is at its end
     * @throws AdapterException if the loss becomes NaN or infinite
     */
    public double step() {
        return run.next();
    }

    @Override
    public void close() {
        run.end();
    }
}
