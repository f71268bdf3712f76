package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * Running means of squared gradients as Adafactor keeps them: for parameters of two axes or more only their row and
 * column means, for others in full. Leading axes are a stack of matrices.
 */
final class Factored {
    private static final Program ROW_MEAN;
    private static final Program SQUARE = Program.of(Expr.input(0).times(Expr.input(0)).plus(Expr.rowInput(1)));
    private static final Program BLEND;
    private static final Program FULL;

    static {
        Expr g = Expr.input(0);
        Expr rows = g.times(g).plus(Expr.rowInput(2)).rowSum().times(Expr.rowInput(3));
        ROW_MEAN = Program.of(Expr.rowInput(1).times(Expr.rowInput(4)).plus(rows.times(Expr.rowInput(5))));
        BLEND = Program.of(Expr.input(0).times(Expr.rowInput(2)).plus(Expr.input(1).times(Expr.rowInput(3))));
        FULL = Program.of(Expr.input(1).times(Expr.rowInput(3))
                .plus(g.times(g).plus(Expr.rowInput(2)).times(Expr.rowInput(4))));
    }

    private Factored() {}

    /** Whether a parameter's squares are factored. */
    static boolean applies(Tensor p) {
        return p.rank() >= 2;
    }

    /** {@code v = keep v + (1 - keep) (g^2 + eps)}; returns v. */
    static Tensor full(Slots slots, Tensor g, double keep, double eps) {
        Tensor v = slots.tensor("v");
        Compute.run(FULL, new double[] {eps, keep, 1 - keep}, new Tensor[] {g, v}, v);
        return v;
    }

    /** {@code r = keep r + (1 - keep) mean over columns of (g^2 + eps)}, of shape [.., R, 1]; returns r. */
    static Tensor rows(Slots slots, Tensor g, double keep, double eps) {
        long[] shape = g.shape();
        shape[shape.length - 1] = 1;
        Tensor r = slots.tensor("row", 0, shape);
        Compute.run(ROW_MEAN, new double[] {eps, 1.0 / g.size(-1), keep, 1 - keep}, new Tensor[] {g, r}, r);
        return r;
    }

    /** {@code c = keep c + (1 - keep) mean over rows of (g^2 + eps)}, of shape [.., 1, C]; returns c. */
    static Tensor columns(Slots slots, Tensor g, double keep, double eps) {
        long[] shape = g.shape();
        shape[shape.length - 2] = 1;
        Tensor c = slots.tensor("column", 0, shape);
        Tensor sums = Compute.sum(Compute.map(SQUARE, new double[] {eps}, g), -2);
        Compute.run(BLEND, new double[] {keep, (1 - keep) / g.size(-2)}, new Tensor[] {c, sums}, c);
        return c;
    }
}
