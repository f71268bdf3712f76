package dev.jotune.models.generate;

import java.time.Duration;

/**
 * A generated text.
 *
 * @param tokens       the new tokens, an end token and those of a stop string included
 * @param text         the new text, without end token and stop string
 * @param finishReason why it ended
 * @param promptTokens number of the prompt's tokens
 * @param promptTime   from the start to the first logits: reading the prompt
 * @param decodeTime   from there to the end
 */
public record Generation(int[] tokens, String text, FinishReason finishReason, int promptTokens, Duration promptTime,
                         Duration decodeTime) {

    private static final double NANOS_PER_SECOND = 1e9;

    public Generation {
        tokens = tokens.clone();
    }

    @Override
    public int[] tokens() {
        return tokens.clone();
    }

    /** Number of new tokens. */
    public int newTokens() {
        return tokens.length;
    }

    /** Prompt tokens read in a second. */
    public double promptTokensPerSecond() {
        return promptTokens * NANOS_PER_SECOND / Math.max(1, promptTime.toNanos());
    }

    /** Tokens written in a second. The first comes with the prompt's logits, so its time is the prompt's. */
    public double tokensPerSecond() {
        return Math.max(0, tokens.length - 1) * NANOS_PER_SECOND / Math.max(1, decodeTime.toNanos());
    }
}
