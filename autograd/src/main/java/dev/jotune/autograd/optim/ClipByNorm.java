package dev.jotune.autograd.optim;

import java.util.List;

/**
 * Shrinks all gradients by one factor, {@code maxNorm / (norm + 1e-6)}, where their total p-norm exceeds
 * {@code maxNorm} (Pascanu, Mikolov and Bengio, arXiv 1211.5063, section 3.2; the 1e-6 is torch's). It remembers the
 * norm for those who report it.
 */
public final class ClipByNorm implements GradientTransform {
    private static final double EPS = 1e-6;

    private final double maxNorm;
    private final double p;
    private double lastNorm = Double.NaN;

    ClipByNorm(double maxNorm, double p) {
        if (!(maxNorm > 0) || !(p > 0)) {
            throw new IllegalArgumentException("clipping to a " + p + "-norm of " + maxNorm + " is not possible. "
                    + "Give a limit above 0 and a p above 0, such as 2.");
        }
        this.maxNorm = maxNorm;
        this.p = p;
    }

    @Override
    public List<Trainable> apply(long step, List<Trainable> trainables) {
        lastNorm = Compute.norm(trainables.stream().map(Trainable::gradient).toList(), p);
        double factor = maxNorm / (lastNorm + EPS);
        if (factor >= 1) {
            return trainables;
        }
        return trainables.stream().map(t -> t.withGradient(Compute.scale(t.gradient(), factor))).toList();
    }


    /** The total norm before the last clipping; NaN before the first, and where a gradient was NaN. */
    public double lastNorm() {
        return lastNorm;
    }
}
