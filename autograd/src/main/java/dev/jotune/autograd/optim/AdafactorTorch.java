package dev.jotune.autograd.optim;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.OptionalDouble;

/**
 * Adafactor (Shazeer and Stern, arXiv 1804.04235) as {@code torch.optim.Adafactor} computes it: the rate is at most
 * {@code 1 / sqrt(t)} and always scaled by the parameter's root mean square, squares have no epsilon added, and
 * {@code 1 - beta2 = t^beta2Decay}. {@link Adafactor} is transformers' algorithm.
 *
 * @param beta2Decay  exponent of the schedule, negative
 * @param eps1        smallest mean of squares; without one the type's machine epsilon
 * @param eps2        smallest scale of a parameter
 * @param d           largest root mean square of an update
 * @param weightDecay decoupled: {@code p *= 1 - lr wd}
 */
public record AdafactorTorch(double beta2Decay, OptionalDouble eps1, double eps2, double d, double weightDecay)
        implements UpdateRule {
    private static final Program FACTORED;
    private static final Program FULL;
    private static final Program APPLY =
            Program.of(Expr.input(0).times(Expr.rowInput(2)).minus(Expr.input(1).times(Expr.rowInput(3))));

    static {
        Expr g = Expr.input(0);
        Expr product = Expr.rowInput(1).times(Expr.input(2)).over(Expr.rowInput(3).max(Expr.rowInput(4)));
        FACTORED = Program.of(g.times(product.max(Expr.rowInput(5)).rsqrt()));
        FULL = Program.of(g.times(Expr.input(1).max(Expr.rowInput(2)).rsqrt()));
    }

    /** The settings of torch. */
    public AdafactorTorch() {
        this(-0.8, OptionalDouble.empty(), 1e-3, 1, 0);
    }

    @Override
    public String name() {
        return "adafactor_torch";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        if (p.numel() == 0) {
            return;
        }
        double fresh = Math.pow(slots.step(), beta2Decay);
        double alpha = Math.max(eps2, Compute.rms(p)) * Math.min(rate, 1 / Math.sqrt(slots.step()));
        Tensor u = direction(slots, g, 1 - fresh, eps1.orElse(p.dtype() == DType.F64 ? Math.ulp(1.0) : Math.ulp(1f)));
        double scale = alpha / Math.max(1, Compute.rms(u) / d);
        Compute.run(APPLY, new double[] {1 - rate * weightDecay, scale}, new Tensor[] {p, u}, p);
    }

    private static Tensor direction(Slots slots, Tensor g, double keep, double eps) {
        if (!Factored.applies(g)) {
            return Compute.map(FULL, new double[] {eps * eps}, g, Factored.full(slots, g, keep, 0));
        }
        Tensor r = Factored.rows(slots, g, keep, 0);
        Tensor c = Factored.columns(slots, g, keep, 0);
        Tensor mean = Compute.scale(Compute.sum(r, -2), 1.0 / r.size(-2));
        return Compute.map(FACTORED, new double[] {eps, eps * eps}, g, r, c, mean);
    }
}
