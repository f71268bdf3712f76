package dev.jotune.models.seam;

import dev.jotune.autograd.Var;

/** How one attention makes keys and values, for methods that send states of their own through the model's projections. */
@FunctionalInterface
public interface KeysAndValues {
    /**
     * @param states {@code [B, n, C]}
     * @return keys and values, {@code [B, G, n, D]} each, without positions: no rotary angles
     */
    Var[] of(Var states, Pass pass);
}
