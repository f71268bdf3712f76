package dev.jotune.models.head;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;

/** A LayerNorm of a model: {@code weight} and {@code bias} under one path. */
public record Norm(Parameter weight, Parameter bias, double eps) {
    /** Takes {@code path.weight} and {@code path.bias}, {@code [size]}. */
    public static Norm of(String path, long size, double eps, Weights w) {
        return new Norm(w.parameter(path + ".weight", size), w.parameter(path + ".bias", size), eps);
    }

    /** {@code x [B, .., C]}; each group of rows under its own weights. */
    public Var forward(Var x, Pass pass) {
        // Narrow weights are widened here: they are a few numbers, and the kernel wants one type.
        return pass.perGroup(x, (rows, g) ->
                Norms.layerNorm(rows, weight.value(g).to(x.dtype()), bias.value(g).to(x.dtype()), eps));
    }
}
