package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;
import java.util.OptionalDouble;

/**
 * Adafactor (Shazeer and Stern, arXiv 1804.04235, algorithms 4 and 5) as Hugging Face transformers computes it. Its
 * second moments are kept for rows and columns only; {@code beta2 = 1 - t^decayRate}; the update is clipped to root
 * mean square {@code clipThreshold}. {@link AdafactorTorch} is another algorithm under the same name.
 *
 * @param epsSquare      added to squared gradients
 * @param epsScale       smallest scale of a parameter
 * @param clipThreshold  largest root mean square of an update before the rate
 * @param decayRate      exponent of beta2's schedule, negative
 * @param beta1          of the first moment; none saves the memory
 * @param weightDecay    times rate, off the parameter
 * @param scaleParameter multiply the rate by the parameter's root mean square
 * @param relativeStep   use {@code min(1e-2, 1 / sqrt(t))} in place of the schedule's rate
 * @param warmupInit     use {@code 1e-6 t} in place of 1e-2
 */
public record Adafactor(double epsSquare, double epsScale, double clipThreshold, double decayRate,
        OptionalDouble beta1, double weightDecay, boolean scaleParameter, boolean relativeStep, boolean warmupInit)
        implements UpdateRule {
    private static final Program FACTORED;
    private static final Program FULL = Program.of(Expr.input(0).times(Expr.input(1).rsqrt()));
    private static final Program APPLY;
    private static final Program APPLY_MOMENT;

    static {
        // The row factor is divided by the mean of the rows; two roots keep the product within range.
        Expr r = Expr.rowInput(1).over(Expr.rowInput(3)).rsqrt();
        FACTORED = Program.of(Expr.input(0).times(r.times(Expr.input(2).rsqrt())));
        Expr p = Expr.input(0);
        APPLY = Program.of(p.times(Expr.rowInput(2)).minus(Expr.input(1).times(Expr.rowInput(3))));
        Expr u = Expr.input(1).times(Expr.rowInput(4));
        Expr m = Expr.input(2).times(Expr.rowInput(5)).plus(u.times(Expr.rowInput(6)));
        APPLY_MOMENT = Program.of(p.times(Expr.rowInput(3)).minus(m), m);
    }

    /**
     * @throws IllegalArgumentException for a warm-up of steps that are not relative
     */
    public Adafactor {
        if (warmupInit && !relativeStep) {
            throw new IllegalArgumentException("warmup_init without relative_step has nothing to warm up. "
                    + "Set relative_step, or warm up with the schedule.");
        }
    }

    /** Relative steps scaled by the parameter, no momentum: no rate has to be chosen. */
    public Adafactor() {
        this(1e-30, 1e-3, 1, -0.8, OptionalDouble.empty(), 0, true, true, false);
    }

    /** The schedule's rate, as for prompt tuning (arXiv 2104.08691: rate 0.3, weight decay 1e-5, no scaling). */
    public static Adafactor withRate(double weightDecay) {
        return new Adafactor(1e-30, 1e-3, 1, -0.8, OptionalDouble.empty(), weightDecay, false, false, false);
    }

    @Override
    public String name() {
        return "adafactor";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        if (p.numel() == 0) {
            return;
        }
        double lr = rate(slots.step(), p, rate);
        double keep = 1 - Math.pow(slots.step(), decayRate);
        Tensor u = direction(slots, g, keep);
        double scale = lr / Math.max(1, Compute.rms(u) / clipThreshold);
        double shrink = 1 - weightDecay * lr;
        if (beta1.isEmpty()) {
            Compute.run(APPLY, new double[] {shrink, scale}, new Tensor[] {p, u}, p);
        } else {
            Tensor m = slots.tensor("m");
            double b = beta1.getAsDouble();
            Compute.run(APPLY_MOMENT, new double[] {shrink, scale, b, 1 - b}, new Tensor[] {p, u, m}, p, m);
        }
    }

    private double rate(long t, Tensor p, double given) {
        double relative = Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t));
        return (relativeStep ? relative : given) * (scaleParameter ? Math.max(epsScale, Compute.rms(p)) : 1);
    }

    private Tensor direction(Slots slots, Tensor g, double keep) {
        if (!Factored.applies(g)) {
            return Compute.map(FULL, new double[0], g, Factored.full(slots, g, keep, epsSquare));
        }
        Tensor r = Factored.rows(slots, g, keep, epsSquare);
        Tensor c = Factored.columns(slots, g, keep, epsSquare);
        Tensor mean = Compute.scale(Compute.sum(r, -2), 1.0 / r.size(-2));
        return Compute.map(FACTORED, new double[0], g, r, c, mean);
    }
}
