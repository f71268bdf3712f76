package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.RowProjection;
import java.util.function.UnaryOperator;

/**
 * {@link Lora} on a table of embeddings: {@code W' = W + s B A} with W {@code [C, N]} the table transposed.
 *
 * @param a {@code [r, N]}, which starts at 0, the other way round than on a linear layer
 * @param b {@code [C, r]}
 * @param scale s; dropout has no place here, as in PEFT
 */
record RowFactors(Var a, Var b, double scale) implements RowProjection {
    /** {@code y = e_i + s B A_i}. */
    @Override
    public Var rows(Var below, UnaryOperator<Var> lookup, LinearLayer table, Pass pass) {
        return below.addScaled(Linear.apply(lookup.apply(a.transpose(0, 1)), b), scale);
    }

    @Override
    public Var weight(Var w) {
        return w.addScaled(b.matmul(a), scale);
    }
}
