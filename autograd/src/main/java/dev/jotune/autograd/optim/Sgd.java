package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * Stochastic gradient descent with momentum as torch defines it: {@code g = g + wd p;
 * b = mu b + (1 - dampening) g} (at first {@code b = g}); {@code p -= lr b}, or with Nesterov's look-ahead
 * {@code p -= lr (g + mu b)} (Sutskever et al., ICML 2013).
 */
public record Sgd(double momentum, double dampening, boolean nesterov, double weightDecay) implements UpdateRule {
    private static final Program PLAIN;
    private static final Program BUFFERED;
    private static final Program LOOK_AHEAD;

    static {
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(3)));
        PLAIN = Program.of(p.minus(Expr.input(1).plus(p.times(Expr.rowInput(2))).times(Expr.rowInput(3))));
        Expr lr = Expr.rowInput(4);
        Expr mu = Expr.rowInput(5);
        Expr b = Expr.input(2).times(mu).plus(g.times(Expr.rowInput(6)));
        BUFFERED = Program.of(p.minus(b.times(lr)), b);
        LOOK_AHEAD = Program.of(p.minus(g.plus(b.times(mu)).times(lr)), b);
    }

    /**
     * @throws IllegalArgumentException for Nesterov without momentum or with dampening
     */
    public Sgd {
        if (nesterov && (momentum <= 0 || dampening != 0)) {
            throw new IllegalArgumentException("nesterov with momentum " + momentum + " and dampening " + dampening
                    + " is not defined. Give a momentum above 0 and no dampening.");
        }
    }

    /** Without momentum. */
    public Sgd() {
        this(0, 0, false, 0);
    }

    @Override
    public String name() {
        return "sgd";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        if (momentum == 0) {
            Compute.run(PLAIN, new double[] {weightDecay, rate}, new Tensor[] {p, g}, p);
            return;
        }
        Tensor buffer = slots.tensor("momentum");
        // The buffer is 0 at first, so that a factor of 1 makes it the gradient, undampened.
        double fresh = slots.step() == 1 ? 1 : 1 - dampening;
        Compute.run(nesterov ? LOOK_AHEAD : BUFFERED, new double[] {weightDecay, rate, momentum, fresh},
                new Tensor[] {p, g, buffer}, p, buffer);
    }
}
