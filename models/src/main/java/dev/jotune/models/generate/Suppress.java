package dev.jotune.models.generate;

/**
 * Removes tokens while the history has certain lengths: always, before a least length (so that the text does not end
 * too early), or at one position only.
 */
public final class Suppress implements LogitsProcessor {

    private final int[] tokens;
    private final int from;
    private final int to;

    private Suppress(int[] tokens, int from, int to) {
        this.tokens = tokens;
        this.from = from;
        this.to = to;
    }

    /** Always. */
    public static Suppress always(int... tokens) {
        return new Suppress(Require.tokens("suppress_tokens", tokens), 0, Integer.MAX_VALUE);
    }

    /** Where the history has {@code beginIndex} tokens: {@code begin_suppress_tokens}. */
    public static Suppress at(int beginIndex, int... tokens) {
        Require.atLeast("begin_index", beginIndex, 0, "It is a position of the text.");
        return new Suppress(Require.tokens("begin_suppress_tokens", tokens), beginIndex, beginIndex);
    }

    /** No end token before the text, prompt included, has {@code minLength} tokens. */
    public static Suppress minLength(int minLength, int... eosTokenIds) {
        Require.atLeast("min_length", minLength, 0, "It counts the prompt.");
        return new Suppress(Require.tokens("eos_token_id", eosTokenIds), 0, minLength - 1);
    }

    /** No end token before {@code minNewTokens} tokens follow a prompt of {@code promptLength}. */
    public static Suppress minNewTokens(int promptLength, int minNewTokens, int... eosTokenIds) {
        Require.atLeast("min_new_tokens", minNewTokens, 0, "It does not count the prompt.");
        Require.atLeast("The prompt's length", promptLength, 0, "Pass the number of its tokens.");
        return minLength(Math.addExact(promptLength, minNewTokens), eosTokenIds);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        if (length < from || length > to) {
            return;
        }
        for (int token : tokens) {
            logits[token] = Float.NEGATIVE_INFINITY;
        }
    }
}
