package dev.jotune.models.generate;

/**
 * The softmax of logits in double precision, in a buffer that is used again from call to call. Double, because the
 * cut-offs of sampling compare sums over a whole vocabulary, where float's rounding would decide.
 */
final class Distribution {

    private double[] probabilities = new double[0];
    private int size;
    private double logNormalizer;

    /**
     * Takes [V] logits; the results below are of these until the next call.
     *
     * @throws IllegalStateException if no logit is finite, or one is NaN or positive infinity
     */
    void of(float[] logits) {
        size = logits.length;
        if (probabilities.length < size) {
            probabilities = new double[size];
        }
        double max = max(logits);
        double sum = 0;
        for (int i = 0; i < size; i++) {
            double e = Math.exp(logits[i] - max);
            probabilities[i] = e;
            sum += e;
        }
        for (int i = 0; i < size; i++) {
            probabilities[i] /= sum;
        }
        logNormalizer = max + Math.log(sum);
    }

    /** The largest logit, which is finite. */
    static float max(float[] logits) {
        float max = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            max = Math.max(max, logit);
        }
        requireFinite(max, logits.length);
        return max;
    }

    /** The logarithm of the sum of {@code e^logit}, at least one of which is finite. */
    static double logNormalizer(double[] logits) {
        double max = Double.NEGATIVE_INFINITY;
        for (double logit : logits) {
            max = Math.max(max, logit);
        }
        requireFinite(max, logits.length);
        double sum = 0;
        for (double logit : logits) {
            sum += Math.exp(logit - max);
        }
        return max + Math.log(sum);
    }

    /** As {@link #logNormalizer(double[])}. */
    static double logNormalizer(float[] logits) {
        double max = max(logits);
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - max);
        }
        return max + Math.log(sum);
    }

    private static void requireFinite(double max, int size) {
        if (max == Double.NEGATIVE_INFINITY) {
            throw new IllegalStateException("All " + size + " tokens are ruled out: every logit is negative "
                    + "infinity. Loosen the constraint, the suppressed or bad words or the ban on repeated n-grams.");
        }
        if (!Double.isFinite(max)) {
            throw new IllegalStateException("The logits hold " + max + ". The model's weights or an adapter are "
                    + "broken, or a training run diverged: check them for NaN.");
        }
    }

    double probability(int token) {
        return probabilities[token];
    }

    double logProbability(float logit) {
        return logit - logNormalizer;
    }

    /** Shannon's entropy in nats. */
    double entropy(float[] logits) {
        double entropy = 0;
        for (int i = 0; i < size; i++) {
            if (probabilities[i] > 0) {
                entropy -= probabilities[i] * (logits[i] - logNormalizer);
            }
        }
        return entropy;
    }
}
