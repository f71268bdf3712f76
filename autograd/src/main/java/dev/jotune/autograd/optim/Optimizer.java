package dev.jotune.autograd.optim;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * Changes parameters by their gradients, and can stop and continue bit for bit.
 *
 * <p>What is trainable may differ from step to step: a parameter seen for the first time starts fresh, and what is
 * remembered of a parameter that is no longer given is dropped. Make one with {@link UpdateRule#with(Schedule)}.
 */
public interface Optimizer {

    /** One update; an empty list changes nothing and is not counted. */
    void step(List<Trainable> trainables);

    /** One update of named parameters with their gradients in the same order. */
    default void step(SequencedMap<String, Var> parameters, List<Tensor> gradients) {
        step(Trainable.of(parameters, gradients));
    }

    /** How many updates were made. */
    long steps();

    /** The rate of the next update. */
    double rate();

    /**
     * What must be saved, by name, such as {@code adamw.m.<parameter>}: live tensors, to be written or copied before
     * the next step.
     */
    Map<String, Tensor> state();

    /**
     * Takes back what {@link #state()} gave after {@code steps} updates; values are copied.
     *
     * @throws IllegalArgumentException if the state belongs to another optimiser
     */
    void restore(Map<String, Tensor> state, long steps);

    /** This optimiser behind a chain of gradient transforms. */
    default Optimizer after(GradientTransform transform) {
        return new TransformedOptimizer(transform, this);
    }
}
