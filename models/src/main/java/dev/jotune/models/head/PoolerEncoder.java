package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Encoder;
import dev.jotune.models.Hidden;
import dev.jotune.models.PooledEncoder;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;

/** An encoder with a pooler. */
final class PoolerEncoder extends HeadedEncoder implements PooledEncoder {
    private final LinearLayer dense;
    private final String activation;

    PoolerEncoder(Encoder base, LinearLayer dense, String activation) {
        super(base);
        this.dense = dense;
        this.activation = activation;
    }

    @Override
    public Var pooled(Hidden hidden, Pass pass) {
        return Activations.byName(activation, dense.forward(firstToken(hidden, pass), pass));
    }
}
