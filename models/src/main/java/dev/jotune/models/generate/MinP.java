package dev.jotune.models.generate;

/**
 * Removes tokens less likely than a share of the most likely one (Nguyen et al., arXiv 2407.01082); after top-p.
 */
public final class MinP implements LogitsProcessor {

    private final double minP;
    private final Cutoff cutoff;
    private final Distribution distribution = new Distribution();

    public MinP(double minP) {
        this(minP, 1);
    }

    /**
     * @param minP            in (0, 1]: the share of the best token's probability
     * @param minTokensToKeep at least 1
     * @throws IllegalArgumentException if one of them is outside its range
     */
    public MinP(double minP, int minTokensToKeep) {
        this.minP = Require.share("min_p", minP, "It is a share of the best token's probability.");
        this.cutoff = new Cutoff(minTokensToKeep);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        distribution.of(logits);
        double best = Math.exp(distribution.logProbability(Distribution.max(logits)));
        cutoff.apply(distribution, minP * best, logits);
    }
}
