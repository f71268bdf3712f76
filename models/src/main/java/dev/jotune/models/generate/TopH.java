package dev.jotune.models.generate;

/**
 * Top-H (arXiv 2509.02510): of the hundred most likely tokens keeps, in order, those whose summed terms
 * {@code -p ln p} stay within a share of the entropy of the hundred; the most likely token always.
 */
public final class TopH implements LogitsProcessor {

    private static final int CANDIDATES = 100;

    private final double share;
    private final Ranking ranking = new Ranking();
    private final int[] tokens = new int[CANDIDATES];
    private final double[] terms = new double[CANDIDATES];

    /**
     * @param topH in (0, 1]
     * @throws IllegalArgumentException if it is not
     */
    public TopH(double topH) {
        share = Require.share("top_h", topH, "It is a share of the distribution's entropy.");
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        double max = Distribution.max(logits);
        ranking.of(logits);
        int count = 0;
        double sum = 0;
        while (count < CANDIDATES && !ranking.isEmpty()) {
            int token = ranking.next();
            tokens[count++] = token;
            sum += Math.exp(logits[token] - max);
        }
        ranking.removeRest(logits);
        double logSum = Math.log(sum);
        double entropy = 0;
        for (int i = 0; i < count; i++) {
            double logProbability = logits[tokens[i]] - max - logSum;
            terms[i] = -Math.exp(logProbability) * logProbability;
            entropy += terms[i];
        }
        double within = terms[0];
        for (int i = 1; i < count; i++) {
            within += terms[i];
            if (within > share * entropy) {
                logits[tokens[i]] = Float.NEGATIVE_INFINITY;
            }
        }
    }
}
