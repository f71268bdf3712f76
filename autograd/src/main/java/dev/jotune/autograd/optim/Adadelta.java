package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * Adadelta (Zeiler, arXiv 1212.5701, algorithm 1): {@code g = g + wd p; s = rho s + (1 - rho) g^2;
 * d = sqrt(u + eps) / sqrt(s + eps) g; u = rho u + (1 - rho) d^2; p -= lr d}.
 */
public record Adadelta(double rho, double eps, double weightDecay) implements UpdateRule {
    private static final Program STEP;

    static {
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(4)));
        Expr rho = Expr.rowInput(5);
        Expr fresh = Expr.rowInput(6);
        Expr eps = Expr.rowInput(7);
        Expr squares = Expr.input(2).times(rho).plus(g.times(g).times(fresh));
        Expr delta = Expr.input(3).plus(eps).sqrt().over(squares.plus(eps).sqrt()).times(g);
        Expr updates = Expr.input(3).times(rho).plus(delta.times(delta).times(fresh));
        STEP = Program.of(p.minus(delta.times(Expr.rowInput(8))), squares, updates);
    }

    /** The usual settings: 0.9, 1e-6, no weight decay. */
    public Adadelta() {
        this(0.9, 1e-6, 0);
    }

    @Override
    public String name() {
        return "adadelta";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        Tensor squares = slots.tensor("squares");
        Tensor updates = slots.tensor("updates");
        Compute.run(STEP, new double[] {weightDecay, rho, 1 - rho, eps, rate}, new Tensor[] {p, g, squares, updates}, p,
                squares, updates);
    }
}
