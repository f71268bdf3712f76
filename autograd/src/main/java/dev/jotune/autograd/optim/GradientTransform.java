package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;

/**
 * A link of the chain between gradients and optimiser: it may change gradients, drop parameters for this step, or
 * hold everything back by returning an empty list. See {@link GradientTransforms} for those there are.
 *
 * <p>Gradients are replaced, never overwritten: two parameters may share one gradient's memory.
 */
@FunctionalInterface
public interface GradientTransform {

    /**
     * @param step       how many steps came before this one
     * @param trainables what trains in this step; another step may bring others
     * @return what goes on to the next link; its gradients may be overwritten by the next call
     */
    List<Trainable> apply(long step, List<Trainable> trainables);

    /** What must be saved for an exact continuation, by name; live tensors. */
    default Map<String, Tensor> state() {
        return Map.of();
    }

    /** Takes back what {@link #state()} gave; values are copied. */
    default void restore(Map<String, Tensor> state) {
        if (!state.isEmpty()) {
            throw new IllegalArgumentException("this gradient transform keeps no state, but " + state.keySet()
                    + " was given. Restore with the chain that the run was saved with.");
        }
    }

    /** This, then {@code next}. */
    default GradientTransform then(GradientTransform next) {
        return new TransformChain(List.of(this, next));
    }
}
