package dev.jotune.models.bart;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;

/** Layer normalisation with weight and bias; epsilon is torch's default, which these families never change. */
public record LayerNorm(Parameter weight, Parameter bias) {
    private static final double EPS = 1e-5;

    /** The module {@code path} over {@code size} features. */
    public static LayerNorm of(String path, long size, Weights w) {
        return new LayerNorm(w.parameter(path + ".weight", size), w.parameter(path + ".bias", size));
    }

    /** {@code x [B, T, C]}, each group of rows under its own weights. */
    public Var apply(Var x, Pass pass) {
        return pass.perGroup(x, (rows, g) -> Norms.layerNorm(rows, weight.value(g), bias.value(g), EPS));
    }
}
