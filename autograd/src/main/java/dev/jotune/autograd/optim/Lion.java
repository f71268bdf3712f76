package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * Lion (Chen et al., arXiv 2302.06675, program 1): {@code p = (1 - lr wd) p - lr sign(b1 m + (1 - b1) g);
 * m = b2 m + (1 - b2) g}. It wants a rate some three to ten times smaller than AdamW's.
 */
public record Lion(double beta1, double beta2, double weightDecay) implements UpdateRule {
    private static final Program STEP;

    static {
        Expr g = Expr.input(1);
        Expr m = Expr.input(2);
        Expr direction = m.times(Expr.rowInput(5)).plus(g.times(Expr.rowInput(6))).sign();
        STEP = Program.of(Expr.input(0).times(Expr.rowInput(3)).minus(direction.times(Expr.rowInput(4))),
                m.times(Expr.rowInput(7)).plus(g.times(Expr.rowInput(8))));
    }

    /** The settings of the paper, without weight decay. */
    public Lion() {
        this(0.9, 0.99, 0);
    }

    @Override
    public String name() {
        return "lion";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        Tensor m = slots.tensor("m");
        Compute.run(STEP, new double[] {1 - rate * weightDecay, rate, beta1, 1 - beta1, beta2, 1 - beta2},
                new Tensor[] {p, g, m}, p, m);
    }
}
