package dev.jotune.peft.methods;

import dev.jotune.autograd.Inverse;
import dev.jotune.autograd.Lookup;
import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import java.util.function.UnaryOperator;

/**
 * The block-diagonal rotation of one layer's input, of {@link Oft}.
 *
 * @param triangle {@code [in / b or 1, b (b - 1) / 2]}: the upper triangles row by row
 * @param size b
 * @param terms of Neumann's series; 0 for the exact inverse
 * @param limit of the Frobenius norm of each Q, infinite for none
 */
record BlockRotation(Var triangle, long size, int terms, double limit) implements Projection {
    private static final Expr X = Expr.input(0);
    /** Rows onto the ball: {@code v min(1, limit / |Q|)} with {@code |Q|^2 = 2 |v|^2}. */
    private static final MapOp BOUNDED = MapOp.of("onto_ball", 2, X.times(Expr.of(1).min(Expr.rowInput(1)
            .over(X.times(X).rowSum().times(2).sqrt()))));

    /** {@code [blocks, b, b]}. */
    private Var matrices() {
        Var q = skew();
        Var identity = identity();
        if (terms == 0) {
            return identity.sub(q).matmul(Inverse.apply(identity.add(q)));
        }
        Var sum = terms > 1 ? identity.addScaled(q, 2) : identity.expandTo(q.shape());
        if (terms > 2) {
            Var power = q.matmul(q);
            sum = sum.addScaled(power, 2);
            for (int k = 3; k < terms - 1; k++) {
                power = power.matmul(q);
                sum = sum.addScaled(power, 2);
            }
            // The last term counts once: so does PEFT.
            sum = sum.add(power.matmul(q));
        }
        return sum;
    }

    /** The triangles within the limit; their gradient passes as if there were none. */
    private Var bounded() {
        return limit == Double.POSITIVE_INFINITY ? triangle : triangle.add(missing());
    }

    /** What brings the triangles within the limit. */
    Var missing() {
        return Recording.off(() -> projected().sub(triangle.detach()));
    }

    /** The triangles within the limit, not differentiated. */
    Var projected() {
        return Recording.off(() -> BOUNDED.apply(triangle.detach(), triangle.scalarLike(limit)));
    }

    private Var skew() {
        int n = Math.toIntExact(size);
        long[] upper = new long[n * (n - 1) / 2];
        long[] lower = new long[upper.length];
        int at = 0;
        for (int i = 0; i < n; i++) {
            for (int j = i + 1; j < n; j++) {
                upper[at] = (long) i * n + j;
                lower[at++] = (long) j * n + i;
            }
        }
        Var columns = bounded().transpose(0, 1);
        Var full = Lookup.scatterAdd(columns, Tensor.of(triangle.backend(), upper, at), size * size)
                .sub(Lookup.scatterAdd(columns, Tensor.of(triangle.backend(), lower, at), size * size));
        return full.transpose(0, 1).reshape(triangle.size(0), size, size);
    }

    private Var identity() {
        double[] ones = new double[Math.toIntExact(size * size)];
        for (int i = 0; i < size; i++) {
            ones[i * Math.toIntExact(size + 1)] = 1;
        }
        return Var.constant(Tensor.of(triangle.backend(), triangle.dtype(), ones, 1, size, size));
    }

    /** {@code rows [.., in]} times R, block by block. */
    private static Var turn(Var rows, Var r, long size) {
        long blocks = rows.size(-1) / size;
        Var parts = rows.reshape(-1, blocks, size).transpose(0, 1);
        return parts.matmul(r.expandTo(blocks, size, size)).transpose(0, 1).reshape(rows.shape());
    }

    /** {@code rows [.., in]} times R. */
    Var turned(Var rows) {
        return turn(rows, matrices(), size);
    }

    @Override
    public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
        return inner.apply(turned(x));
    }

    /** {@code W' = W R^T}. */
    @Override
    public Var weight(Var w) {
        return turn(w, matrices().transpose(1, 2), size);
    }
}
