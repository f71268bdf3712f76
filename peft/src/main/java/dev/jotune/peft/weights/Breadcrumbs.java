package dev.jotune.peft.weights;

import java.util.List;

/**
 * Model Breadcrumbs (Davari and Belilovsky, arXiv 2312.06795): of each task vector the very largest are dropped as outliers and
 * the small ones as noise; {@code tau = sum of w_i m_i tau_i}, where m_i leaves out the share {@code gamma} that is largest in
 * magnitude and keeps the share {@code density} that follows.
 *
 * @param density share of the numbers that stay
 * @param gamma share of the largest that go
 */
public record Breadcrumbs(double density, double gamma) implements Combination {
    public Breadcrumbs {
        if (!(gamma >= 0 && density >= 0 && gamma + density <= 1)) {
            throw new IllegalArgumentException("gamma is " + gamma + " and density " + density
                    + "; both are shares of the numbers, together at most 1.");
        }
    }

    @Override
    public Values of(List<Values> vectors, double[] weights, long stream) {
        return Values.sum(vectors.stream().map(this::path).toList(), weights);
    }

    private Values path(Values v) {
        long outliers = (long) (gamma * v.size());
        Largest dropped = Largest.of(v, outliers);
        Largest reach = Largest.of(v, outliers + (long) (density * v.size()));
        return Values.map(List.of(v), (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                double x = in[0][i];
                out[i] = reach.contains(x, from + i) && !dropped.contains(x, from + i) ? x : 0;
            }
        });
    }
}
