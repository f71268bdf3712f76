package dev.jotune.models.generate;

import java.util.BitSet;

/**
 * Penalises tokens that occurred (CTRL, Keskar et al., arXiv 1909.05858): a positive logit is divided by the penalty,
 * a negative one multiplied, once however often the token occurred. The prompt counts. Above 1 discourages
 * repetition, below 1 rewards it.
 */
public final class RepetitionPenalty implements LogitsProcessor {

    private final double penalty;
    private final int ignoredPrompt;
    private final BitSet seen = new BitSet();

    public RepetitionPenalty(double penalty) {
        this(penalty, 0);
    }

    /**
     * @param penalty       above 0
     * @param ignoredPrompt how many tokens at the start of the history do not count
     * @throws IllegalArgumentException if the penalty is not positive or the count negative
     */
    public RepetitionPenalty(double penalty, int ignoredPrompt) {
        this.penalty = Require.positive("repetition_penalty", penalty, "1 penalises nothing.");
        this.ignoredPrompt = Require.atLeast("prompt_ignore_length", ignoredPrompt, 0, "0 counts the whole prompt.");
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        seen.clear();
        for (int i = ignoredPrompt; i < length; i++) {
            int token = history[i];
            if (!seen.get(token)) {
                seen.set(token);
                penalize(logits, token, penalty);
            }
        }
    }

    static void penalize(float[] logits, int token, double penalty) {
        float logit = logits[token];
        logits[token] = (float) (logit < 0 ? logit * penalty : logit / penalty);
    }
}
