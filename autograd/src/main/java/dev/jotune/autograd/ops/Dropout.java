package dev.jotune.autograd.ops;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;

/** Inverted dropout (Srivastava et al., JMLR 15, 2014) with counter-based noise. */
public final class Dropout {
    private static final Expr KEEP = Expr.input(1).ge(Expr.rowInput(2));
    private static final MapOp DROP = MapOp.of("dropout", 3,
            Expr.select(KEEP, Expr.input(0).over(Expr.of(1).minus(Expr.rowInput(2))), Expr.of(0)));

    private Dropout() {}

    /**
     * Zeroes elements with probability {@code p} and scales the others by {@code 1 / (1 - p)}.
     *
     * @param seed of the run
     * @param stream what makes this use unique: the same (seed, stream) gives the same mask, so that recomputation
     *     agrees
     */
    public static Var apply(Var x, double p, long seed, long stream) {
        if (!(p >= 0 && p < 1)) {
            throw new IllegalArgumentException("dropout probability " + p + " is not in [0, 1)");
        }
        if (p == 0) {
            return x;
        }
        Tensor noise = Tensor.empty(x.backend(), DType.F32, x.shape());
        x.backend().uniform(noise, seed, stream);
        return DROP.apply(x, Var.constant(noise), x.scalarLike(p));
    }
}
