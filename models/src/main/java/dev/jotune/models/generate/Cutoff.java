package dev.jotune.models.generate;

/** Removes tokens less likely than a threshold, but never the most likely few: what min-p, epsilon and eta share. */
final class Cutoff {

    private final int minTokensToKeep;
    private final Ranking ranking = new Ranking();

    Cutoff(int minTokensToKeep) {
        this.minTokensToKeep = Require.atLeast("min_tokens_to_keep", minTokensToKeep, 1, "A token must remain.");
    }

    void apply(Distribution distribution, double threshold, float[] logits) {
        float floor = minTokensToKeep == 1 ? Distribution.max(logits) : leastKept(logits);
        for (int i = 0; i < logits.length; i++) {
            if (distribution.probability(i) < threshold && logits[i] < floor) {
                logits[i] = Float.NEGATIVE_INFINITY;
            }
        }
    }

    private float leastKept(float[] logits) {
        ranking.of(logits);
        int last = ranking.next();
        for (int taken = 1; taken < minTokensToKeep && !ranking.isEmpty(); taken++) {
            last = ranking.next();
        }
        return logits[last];
    }
}
