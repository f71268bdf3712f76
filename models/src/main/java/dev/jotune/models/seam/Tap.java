package dev.jotune.models.seam;

import dev.jotune.autograd.Var;

/** Seam 3: reads or replaces a named activation. */
@FunctionalInterface
public interface Tap {
    /**
     * @param name {@code embed}, {@code layers.3.attn.head_out}, {@code layers.3.mlp.act}, {@code layers.3}, {@code final}
     * @param activation the rows of this adapter's group
     * @return the activation to go on with, of the same shape
     */
    Var apply(String name, Var activation, Pass pass);
}
