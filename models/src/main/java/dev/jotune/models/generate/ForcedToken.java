package dev.jotune.models.generate;

import java.util.Arrays;

/** Leaves nothing but given tokens, with logit 0, where the history has one certain length. */
public final class ForcedToken implements LogitsProcessor {

    private final int[] tokens;
    private final int position;

    private ForcedToken(int[] tokens, int position) {
        this.tokens = tokens;
        this.position = position;
    }

    /** After the first token, as encoder-decoders that begin with a language need it: {@code forced_bos_token_id}. */
    public static ForcedToken first(int token) {
        return new ForcedToken(Require.tokens("forced_bos_token_id", token), 1);
    }

    /**
     * As the last of {@code maxLength} tokens, prompt included: {@code forced_eos_token_id}.
     *
     * @throws IllegalArgumentException if no token is given, an id is negative or the length not positive
     */
    public static ForcedToken last(int maxLength, int... tokens) {
        Require.atLeast("max_length", maxLength, 1, "It counts the prompt.");
        Require.atLeast("The number of forced end tokens", tokens.length, 1, "Name one.");
        return new ForcedToken(Require.tokens("forced_eos_token_id", tokens), maxLength - 1);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        if (length != position) {
            return;
        }
        Arrays.fill(logits, Float.NEGATIVE_INFINITY);
        for (int token : tokens) {
            logits[token] = 0;
        }
    }
}
