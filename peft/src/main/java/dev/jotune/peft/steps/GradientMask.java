package dev.jotune.peft.steps;

import dev.jotune.autograd.optim.GradientTransform;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * GMT: Gradient-Mask Tuning Elevates the Upper Limits of LLM Performance (Li et al., arXiv 2406.15330, equations 2 to 4): of each
 * tensor's gradient, accumulated over the step's batches, the {@code ceil(k n)} elements of largest magnitude stay and the others
 * become 0, {@code theta -= rate Opt(M G)}. The mask is found anew at every step.
 *
 * <p>The mask is put on the gradient before the optimiser, as published: moments of masked elements decay, and may still move them.
 * Of equal magnitudes at the threshold those that come first stay, so that the number is exact.
 *
 * @param keep k, the share that stays, in (0, 1]
 */
public record GradientMask(double keep) implements GradientTransform {
    /** @throws IllegalArgumentException for a share that is none */
    public GradientMask {
        if (!(keep > 0 && keep <= 1)) {
            throw new IllegalArgumentException("a share of " + keep + " of the gradient cannot be kept. Give one above 0, at most 1.");
        }
    }

    @Override
    public List<Trainable> apply(long step, List<Trainable> trainables) {
        return keep == 1 ? trainables : trainables.stream().map(t -> t.withGradient(masked(t.gradient()))).toList();
    }

    private Tensor masked(Tensor gradient) {
        double[] g = gradient.toDoubleArray();
        int stays = (int) Math.ceil(keep * g.length);
        double[] size = new double[g.length];
        Arrays.setAll(size, i -> Math.abs(g[i]));
        double threshold = threshold(size.clone(), stays);
        int above = (int) Arrays.stream(size).filter(v -> v > threshold).count();
        int equal = stays - above;
        for (int i = 0; i < g.length; i++) {
            if (size[i] == threshold && equal > 0) {
                equal--;
            } else if (!(size[i] > threshold) && !Double.isNaN(size[i])) {
                g[i] = 0;
            }
        }
        return Tensor.of(gradient.backend(), gradient.dtype(), g, gradient.shape());
    }

    /**
     * The {@code k}-th largest of the values, which are reordered (Hoare's quickselect, median of three). Not-a-numbers count as
     * largest, for whoever watches gradients to see them.
     */
    static double threshold(double[] values, int k) {
        int from = 0;
        int to = values.length - 1;
        int wanted = values.length - k;
        while (from < to) {
            double pivot = median(values[from], values[(from + to) >>> 1], values[to]);
            int i = from;
            int j = to;
            while (i <= j) {
                while (Double.compare(values[i], pivot) < 0) {
                    i++;
                }
                while (Double.compare(values[j], pivot) > 0) {
                    j--;
                }
                if (i <= j) {
                    double moved = values[i];
                    values[i++] = values[j];
                    values[j--] = moved;
                }
            }
            if (wanted <= j) {
                to = j;
            } else if (wanted >= i) {
                from = i;
            } else {
                return values[wanted];
            }
        }
        return values[wanted];
    }

    private static double median(double a, double b, double c) {
        double low = Double.compare(a, b) < 0 ? a : b;
        double high = Double.compare(a, b) < 0 ? b : a;
        return Double.compare(c, low) < 0 ? low : Double.compare(c, high) > 0 ? high : c;
    }
}
