package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * Adagrad (Duchi, Hazan and Singer, JMLR 12, 2011), diagonal: {@code g = g + wd p; s += g^2;
 * p -= lr / (1 + (t - 1) lrDecay) g / (sqrt(s) + eps)}.
 *
 * @param initial what the sum of squares starts from
 */
public record Adagrad(double lrDecay, double weightDecay, double initial, double eps) implements UpdateRule {
    private static final Program STEP;

    static {
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(3)));
        Expr sum = Expr.input(2).plus(g.times(g));
        STEP = Program.of(p.minus(g.times(Expr.rowInput(4)).over(sum.sqrt().plus(Expr.rowInput(5)))), sum);
    }

    /** Neither decay. */
    public Adagrad() {
        this(0, 0, 0, 1e-10);
    }

    @Override
    public String name() {
        return "adagrad";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        Tensor sum = slots.tensor("sum", initial, p.shape());
        double lr = rate / (1 + (slots.step() - 1) * lrDecay);
        Compute.run(STEP, new double[] {weightDecay, lr, eps}, new Tensor[] {p, g, sum}, p, sum);
    }
}
