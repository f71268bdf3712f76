package dev.jotune.peft;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What a method does in every training step beside its forward (seam 6): a term of the loss, and work after the update
 * with the gradients still at hand. Whoever trains the adapter calls it; what it remembers is saved with the run.
 */
@FunctionalInterface
public interface StepHook {
    /** A term of the loss, and nothing after updates. */
    static StepHook ofPenalty(Supplier<Var> term) {
        return new StepHook() {
            @Override
            public Optional<Var> penalty() {
                return Optional.of(term.get());
            }

            @Override
            public void updated(long step, List<Trainable> trainables) {
                // The loss has done it.
            }
        };
    }

    /** A scalar added to the loss whatever the objective; empty for none. */
    default Optional<Var> penalty() {
        return Optional.empty();
    }

    /**
     * Called after each update; may change parameters in place.
     *
     * @param step updates made, this one included
     * @param trainables the updated parameters with the gradients of the loss, before clipping
     */
    void updated(long step, List<Trainable> trainables);

    /** Forgets what earlier runs left: called when a run begins anew, not when it goes on. */
    default void reset() {}

    /** What must be saved for an exact continuation, by name; live tensors. */
    default Map<String, Tensor> state() {
        return Map.of();
    }

    /** Takes back what {@link #state()} gave; values are copied. */
    default void restore(Map<String, Tensor> state) {}
}
