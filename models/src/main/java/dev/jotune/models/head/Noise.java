package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.models.seam.Pass;

/** The dropout of a model's own configuration. */
public final class Noise {
    private Noise() {}

    /**
     * Dropout while training; otherwise {@code x} itself.
     *
     * @param use a name within the model: each has noise of its own, fixed by the pass's seed and step
     */
    public static Var dropout(Var x, double p, Pass pass, String use) {
        return pass.training() && p > 0 ? Dropout.apply(x, p, pass.seed(), pass.stream("dropout." + use)) : x;
    }
}
