package dev.jotune.models.generate;

/**
 * Locally typical sampling (Meister et al., arXiv 2202.00666): keeps the tokens whose surprise is closest to the
 * distribution's entropy, until they hold the mass p, and all ties with the last of them.
 */
public final class TypicalP implements LogitsProcessor {

    private final double mass;
    private final int minTokensToKeep;
    private final Distribution distribution = new Distribution();
    private final Ranking ranking = new Ranking();

    public TypicalP(double typicalP) {
        this(typicalP, 1);
    }

    /**
     * @param typicalP        in (0, 1]
     * @param minTokensToKeep at least 1
     * @throws IllegalArgumentException if one of them is outside its range
     */
    public TypicalP(double typicalP, int minTokensToKeep) {
        this.mass = Require.share("typical_p", typicalP, "It is the probability mass to keep; 1 keeps all tokens.");
        this.minTokensToKeep = Require.atLeast("min_tokens_to_keep", minTokensToKeep, 1, "A token must remain.");
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        if (mass == 1) {
            return;
        }
        distribution.of(logits);
        double entropy = distribution.entropy(logits);
        ranking.reserve(logits.length);
        for (int i = 0; i < logits.length; i++) {
            ranking.add(i, -Math.abs(-distribution.logProbability(logits[i]) - entropy));
        }
        ranking.heapify();
        double kept = 0;
        double last = 0;
        int taken = 0;
        while (!ranking.isEmpty()
                && (kept < mass || taken < minTokensToKeep || ranking.key(ranking.peek()) == last)) {
            int token = ranking.next();
            // A token kept only for the count does not bring its ties with it.
            if (kept < mass) {
                last = ranking.key(token);
            }
            kept += distribution.probability(token);
            taken++;
        }
        ranking.removeRest(logits);
    }
}
