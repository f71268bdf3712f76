package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * NAdam (Dozat, ICLR 2016 workshop), with the momentum schedule {@code mu_t = b1 (1 - 0.96^(t d) / 2)}:
 * {@code p -= lr ((1 - mu_t) / (1 - prod_{i <= t} mu_i) g + mu_{t+1} / (1 - prod_{i <= t+1} mu_i) m)
 * / (sqrt(v / (1 - b2^t)) + eps)}, with Adam's m and v.
 *
 * @param momentumDecay d, of the momentum's schedule
 * @param decoupled     shrink the parameter by {@code 1 - lr wd} in place of adding {@code wd p} to the gradient
 */
public record NAdam(double beta1, double beta2, double eps, double weightDecay, double momentumDecay,
        boolean decoupled) implements UpdateRule {
    private static final Program STEP;

    static {
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(4)));
        Expr m = Expr.input(2).times(Expr.rowInput(6)).plus(g.times(Expr.rowInput(7)));
        Expr v = Expr.input(3).times(Expr.rowInput(8)).plus(g.times(g).times(Expr.rowInput(9)));
        Expr divisor = v.times(Expr.rowInput(10)).sqrt().plus(Expr.rowInput(11));
        Expr step = g.times(Expr.rowInput(12)).plus(m.times(Expr.rowInput(13)));
        STEP = Program.of(p.times(Expr.rowInput(5)).minus(step.over(divisor)), m, v);
    }

    /** The usual settings: 0.9, 0.999, 1e-8, momentum decay 0.004. */
    public NAdam() {
        this(0.9, 0.999, 1e-8, 0, 0.004, false);
    }

    @Override
    public String name() {
        return "nadam";
    }

    private double momentum(long t) {
        return beta1 * (1 - 0.5 * Math.pow(0.96, t * momentumDecay));
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        long t = slots.step();
        Tensor m = slots.tensor("m");
        Tensor v = slots.tensor("v");
        double mu = momentum(t);
        double next = momentum(t + 1);
        double product = slots.number("product", 1) * mu;
        slots.setNumber("product", product);
        Compute.run(STEP, new double[] {decoupled ? 0 : weightDecay, decoupled ? 1 - rate * weightDecay : 1, beta1,
            1 - beta1, beta2, 1 - beta2, 1 / (1 - Math.pow(beta2, t)), eps, rate * (1 - mu) / (1 - product),
            rate * next / (1 - product * next)}, new Tensor[] {p, g, m, v}, p, m, v);
    }
}
