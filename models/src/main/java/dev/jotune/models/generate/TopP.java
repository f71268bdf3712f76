package dev.jotune.models.generate;

/**
 * Nucleus sampling (Holtzman et al., arXiv 1904.09751): keeps the smallest set of most likely tokens whose
 * probabilities sum to at least p. Of equally likely tokens the lower ids are kept first.
 */
public final class TopP implements LogitsProcessor {

    private final double topP;
    private final int minTokensToKeep;
    private final Distribution distribution = new Distribution();
    private final Ranking ranking = new Ranking();

    public TopP(double topP) {
        this(topP, 1);
    }

    /**
     * @param topP            in (0, 1]
     * @param minTokensToKeep at least 1
     * @throws IllegalArgumentException if one of them is outside its range
     */
    public TopP(double topP, int minTokensToKeep) {
        this.topP = Require.share("top_p", topP, "It is the probability mass to keep; 1 keeps all tokens.");
        this.minTokensToKeep = Require.atLeast("min_tokens_to_keep", minTokensToKeep, 1, "A token must remain.");
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        if (topP == 1) {
            return;
        }
        distribution.of(logits);
        ranking.of(logits);
        double mass = 0;
        for (int taken = 0; !ranking.isEmpty() && (mass < topP || taken < minTokensToKeep); taken++) {
            mass += distribution.probability(ranking.next());
        }
        ranking.removeRest(logits);
    }
}
