package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Program;

/**
 * RMSprop (Hinton, Coursera lecture 6e, 2012; centred: Graves, arXiv 1308.0850, equations 38 to 45):
 * {@code g = g + wd p; s = a s + (1 - a) g^2; c = a c + (1 - a) g; d = sqrt(s - c^2) + eps} (uncentred
 * {@code d = sqrt(s) + eps}); {@code b = mu b + g / d; p -= lr b}.
 */
public record RmsProp(double alpha, double eps, double weightDecay, double momentum, boolean centered)
        implements UpdateRule {
    private static final Program PLAIN = program(false);
    private static final Program CENTERED = program(true);

    private static Program program(boolean centered) {
        int n = centered ? 5 : 4;
        Expr p = Expr.input(0);
        Expr g = Expr.input(1).plus(p.times(Expr.rowInput(n)));
        Expr a = Expr.rowInput(n + 1);
        Expr fresh = Expr.rowInput(n + 2);
        Expr squares = Expr.input(2).times(a).plus(g.times(g).times(fresh));
        Expr mean = centered ? Expr.input(4).times(a).plus(g.times(fresh)) : Expr.of(0);
        // Rounding must not make the variance negative.
        Expr variance = centered ? squares.minus(mean.times(mean)).max(Expr.of(0)) : squares;
        Expr scaled = g.over(variance.sqrt().plus(Expr.rowInput(n + 3)));
        Expr b = Expr.input(3).times(Expr.rowInput(n + 4)).plus(scaled);
        Expr next = p.minus(b.times(Expr.rowInput(n + 5)));
        return centered ? Program.of(next, squares, b, mean) : Program.of(next, squares, b);
    }

    /** The usual settings: 0.99, 1e-8, nothing else. */
    public RmsProp() {
        this(0.99, 1e-8, 0, 0, false);
    }

    @Override
    public String name() {
        return "rmsprop";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        Tensor squares = slots.tensor("squares");
        // Without momentum the buffer is only an output: the program reads it times 0.
        Tensor buffer = momentum != 0 ? slots.tensor("momentum")
                : Tensor.zeros(p.backend(), Compute.type(p), p.shape());
        double[] numbers = {weightDecay, alpha, 1 - alpha, eps, momentum, rate};
        if (centered) {
            Tensor mean = slots.tensor("mean");
            Compute.run(CENTERED, numbers, new Tensor[] {p, g, squares, buffer, mean}, p, squares, buffer, mean);
        } else {
            Compute.run(PLAIN, numbers, new Tensor[] {p, g, squares, buffer}, p, squares, buffer);
        }
    }
}
