package dev.jotune.models.seam;

import dev.jotune.autograd.Var;

/** Seam 4: embedding rows before the input's own. */
public interface VirtualTokens {
    /** How many rows. */
    long count();

    /** The rows, {@code [count, C]}. */
    Var rows(Pass pass);
}
