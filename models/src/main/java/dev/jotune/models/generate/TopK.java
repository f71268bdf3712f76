package dev.jotune.models.generate;

/**
 * Keeps the k most likely tokens and all ties with the k-th (Fan et al., "Hierarchical neural story generation",
 * arXiv 1805.04833).
 */
public final class TopK implements LogitsProcessor {

    private final int k;
    private final Ranking ranking = new Ranking();

    public TopK(int topK) {
        this(topK, 1);
    }

    /**
     * @param topK            at least 1; all tokens stay if the vocabulary is not larger
     * @param minTokensToKeep at least 1
     * @throws IllegalArgumentException if one of them is less than 1
     */
    public TopK(int topK, int minTokensToKeep) {
        k = Math.max(Require.atLeast("top_k", topK, 1, "Leave it out to keep all tokens."),
                Require.atLeast("min_tokens_to_keep", minTokensToKeep, 1, "A token must remain."));
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        if (k >= logits.length) {
            return;
        }
        ranking.of(logits);
        double last = Double.NEGATIVE_INFINITY;
        for (int taken = 0; taken < k && !ranking.isEmpty(); taken++) {
            last = ranking.key(ranking.next());
        }
        while (!ranking.isEmpty() && ranking.key(ranking.peek()) == last) {
            ranking.next();
        }
        ranking.removeRest(logits);
    }
}
