package dev.jotune.peft.train;

import dev.jotune.autograd.optim.Trainable;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;

/**
 * How a step's loss becomes a change of what trains (seam 6): by gradients, as {@link Backpropagation}, or by losses alone.
 * It keeps the state of one run.
 */
public interface Descent extends AutoCloseable {
    /** Makes the descent of a run. */
    @FunctionalInterface
    interface Factory {
        /** @param totalSteps updates of the run */
        Descent start(TrainOptions options, long totalSteps);
    }

    /**
     * What a step has done.
     *
     * @param loss before the update; one that is not a number ends the run before anything has changed
     * @param gradNorm Euclidean norm of the gradient, or of what was estimated of it
     * @param gradients of the loss, before clipping; empty where there are none
     */
    record Outcome(double loss, double gradNorm, List<Trainable> gradients) {
        /** Without gradients. */
        public Outcome(double loss, double gradNorm) {
            this(loss, gradNorm, List.of());
        }
    }

    /**
     * One update, in place.
     *
     * @param step everything that the update may depend on
     */
    Outcome step(StepInput step);

    /** The rate of the next update. */
    double rate();

    /** What must be saved beside what trains, by name; live tensors. */
    Map<String, Tensor> state();

    /** Takes back what {@link #state()} gave after {@code steps} updates; values are copied. */
    void restore(Map<String, Tensor> state, long steps);

    /** Ends what runs beside the training. */
    @Override
    default void close() {}
}
