package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;

/** An encoder whose checkpoint has a pooler: one vector a text, made of the first token's state. */
public interface PooledEncoder extends Encoder {
    /** {@code tanh(W h_0 + b)}, {@code [B, C]}. */
    Var pooled(Hidden hidden, Pass pass);
}
