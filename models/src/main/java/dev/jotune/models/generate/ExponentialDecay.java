package dev.jotune.models.generate;

/**
 * Makes the end ever more likely once the text is long: after {@code start} new tokens, at n tokens after them, an end
 * token's logit l grows by {@code |l| (factor^n - 1)}. Known as {@code exponential_decay_length_penalty}.
 */
public final class ExponentialDecay implements LogitsProcessor {

    private final int start;
    private final double factor;
    private final int[] eosTokenIds;

    /**
     * @param promptLength tokens of the prompt
     * @param startIndex   new tokens that are free of it
     * @param factor       above 0; above 1 favours the end
     * @param eosTokenIds  the end tokens
     * @throws IllegalArgumentException if a number is outside its range
     */
    public ExponentialDecay(int promptLength, int startIndex, double factor, int... eosTokenIds) {
        this.start = Math.addExact(Require.atLeast("The prompt's length", promptLength, 0, "Pass its tokens' number."),
                Require.atLeast("The start index", startIndex, 0, "It counts new tokens."));
        this.factor = Require.positive("The decay factor", factor, "1 changes nothing.");
        this.eosTokenIds = Require.tokens("eos_token_id", eosTokenIds);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        if (length <= start) {
            return;
        }
        double growth = Math.pow(factor, length - start) - 1;
        for (int token : eosTokenIds) {
            // A ban stays a ban: infinity less infinity would be NaN.
            if (Float.isFinite(logits[token])) {
                logits[token] += (float) (Math.abs(logits[token]) * growth);
            }
        }
    }
}
