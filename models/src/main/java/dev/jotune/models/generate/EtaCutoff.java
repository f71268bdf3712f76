package dev.jotune.models.generate;

/**
 * Eta sampling (Hewitt et al., arXiv 2210.15191): removes tokens less likely than
 * {@code min(epsilon, sqrt(epsilon) exp(-H))}, H being the distribution's entropy in nats.
 */
public final class EtaCutoff implements LogitsProcessor {

    private final double epsilon;
    private final Cutoff cutoff;
    private final Distribution distribution = new Distribution();

    public EtaCutoff(double epsilon) {
        this(epsilon, 1);
    }

    /**
     * @param epsilon         in [0, 1)
     * @param minTokensToKeep at least 1
     * @throws IllegalArgumentException if one of them is outside its range
     */
    public EtaCutoff(double epsilon, int minTokensToKeep) {
        this.epsilon = Require.cutoff("eta_cutoff", epsilon, "It is a probability; 0 keeps all tokens.");
        this.cutoff = new Cutoff(minTokensToKeep);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        distribution.of(logits);
        double eta = Math.min(epsilon, Math.sqrt(epsilon) * Math.exp(-distribution.entropy(logits)));
        cutoff.apply(distribution, eta, logits);
    }
}
