package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.Arrays;

/**
 * RAdam (Liu et al., arXiv 1908.03265, algorithm 2): Adam whose adaptive divisor is used, times r_t, only once the
 * length rho_t of the approximated moving average exceeds 5; until then {@code p -= lr m / (1 - b1^t)}.
 *
 * @param decoupled shrink the parameter by {@code 1 - lr wd} in place of adding {@code wd p} to the gradient
 */
public record RAdam(double beta1, double beta2, double eps, double weightDecay, boolean decoupled)
        implements UpdateRule {
    private static final Program ADAPTIVE = program(true);
    private static final Program PLAIN = program(false);
    /** Below it the variance of the adaptive rate is not tractable; the paper has 4, implementations take 5. */
    private static final double TRACTABLE = 5;

    private static Program program(boolean adaptive) {
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(4)));
        Expr m = Expr.input(2).times(Expr.rowInput(6)).plus(g.times(Expr.rowInput(7)));
        Expr v = Expr.input(3).times(Expr.rowInput(8)).plus(g.times(g).times(Expr.rowInput(9)));
        Expr step = m.times(Expr.rowInput(10));
        return Program.of(p.times(Expr.rowInput(5))
                .minus(adaptive ? step.over(v.sqrt().plus(Expr.rowInput(11))) : step), m, v);
    }

    /** The settings of the paper. */
    public RAdam() {
        this(0.9, 0.999, 1e-8, 0, false);
    }

    @Override
    public String name() {
        return "radam";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        long t = slots.step();
        Tensor m = slots.tensor("m");
        Tensor v = slots.tensor("v");
        double power = Math.pow(beta2, t);
        double limit = 2 / (1 - beta2) - 1;
        double rho = limit - 2 * t * power / (1 - power);
        double lr = rate / (1 - Math.pow(beta1, t));
        boolean adaptive = rho > TRACTABLE;
        if (adaptive) {
            lr *= Math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) * Math.sqrt(1 - power);
        }
        double[] numbers = {decoupled ? 0 : weightDecay, decoupled ? 1 - rate * weightDecay : 1, beta1, 1 - beta1,
            beta2, 1 - beta2, lr, eps};
        Compute.run(adaptive ? ADAPTIVE : PLAIN, adaptive ? numbers : Arrays.copyOf(numbers, 7),
                new Tensor[] {p, g, m, v}, p, m, v);
    }
}
