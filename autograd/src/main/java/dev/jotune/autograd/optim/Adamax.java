package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * Adamax (Kingma and Ba, arXiv 1412.6980, algorithm 2): {@code g = g + wd p; m = b1 m + (1 - b1) g;
 * u = max(b2 u, |g| + eps); p -= lr / (1 - b1^t) m / u}.
 */
public record Adamax(double beta1, double beta2, double eps, double weightDecay) implements UpdateRule {
    private static final Program STEP;

    static {
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(4)));
        Expr m = Expr.input(2).times(Expr.rowInput(5)).plus(g.times(Expr.rowInput(6)));
        Expr u = Expr.input(3).times(Expr.rowInput(7)).max(g.abs().plus(Expr.rowInput(8)));
        STEP = Program.of(p.minus(m.times(Expr.rowInput(9)).over(u)), m, u);
    }

    /** The settings of the paper. */
    public Adamax() {
        this(0.9, 0.999, 1e-8, 0);
    }

    @Override
    public String name() {
        return "adamax";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        Tensor m = slots.tensor("m");
        Tensor u = slots.tensor("u");
        double lr = rate / (1 - Math.pow(beta1, slots.step()));
        Compute.run(STEP, new double[] {weightDecay, beta1, 1 - beta1, beta2, eps, lr}, new Tensor[] {p, g, m, u}, p,
                m, u);
    }
}
