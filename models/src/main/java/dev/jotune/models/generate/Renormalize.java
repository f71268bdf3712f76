package dev.jotune.models.generate;

/** Makes logits log-probabilities that sum to one again after others removed tokens: {@code renormalize_logits}. */
public final class Renormalize implements LogitsProcessor {

    private final Distribution distribution = new Distribution();

    @Override
    public void apply(int[] history, int length, float[] logits) {
        distribution.of(logits);
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) distribution.logProbability(logits[i]);
        }
    }
}
