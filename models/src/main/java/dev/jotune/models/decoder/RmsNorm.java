package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;

/**
 * RMSNorm over the last axis.
 *
 * @param unit whether the factor is {@code 1 + weight}
 */
record RmsNorm(Parameter weight, double eps, boolean unit) {
    static RmsNorm of(String path, long width, DecoderConfig c, Weights w) {
        return new RmsNorm(w.parameter(path + ".weight", width), c.rmsNormEps(), c.unitNorms());
    }

    Var apply(Var x, Pass pass) {
        return pass.perGroup(x, (rows, g) -> {
            // Narrow weights are widened here: they are a few numbers, and the kernel wants one type.
            Var factor = weight.value(g).to(rows.dtype());
            return Norms.rmsNorm(rows, unit ? factor.add(1) : factor, eps);
        });
    }
}
