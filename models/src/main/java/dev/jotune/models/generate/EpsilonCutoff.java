package dev.jotune.models.generate;

/** Epsilon sampling: removes tokens less likely than a fixed probability (Hewitt et al., arXiv 2210.15191). */
public final class EpsilonCutoff implements LogitsProcessor {

    private final double epsilon;
    private final Cutoff cutoff;
    private final Distribution distribution = new Distribution();

    public EpsilonCutoff(double epsilon) {
        this(epsilon, 1);
    }

    /**
     * @param epsilon         in [0, 1)
     * @param minTokensToKeep at least 1
     * @throws IllegalArgumentException if one of them is outside its range
     */
    public EpsilonCutoff(double epsilon, int minTokensToKeep) {
        this.epsilon = Require.cutoff("epsilon_cutoff", epsilon, "It is a probability; 0 keeps all tokens.");
        this.cutoff = new Cutoff(minTokensToKeep);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        distribution.of(logits);
        cutoff.apply(distribution, epsilon, logits);
    }
}
