package dev.jotune.models.generate;

import java.util.Arrays;

/**
 * Rewards (above 1) or discourages (below 1) tokens of a source text, as an encoder's input: the inverse of
 * {@link RepetitionPenalty} over fixed tokens. Known as {@code encoder_repetition_penalty}.
 */
public final class SourceRepetitionPenalty implements LogitsProcessor {

    private final double penalty;
    private final int[] source;

    /**
     * @param penalty above 0
     * @param source  token ids of the source text
     * @throws IllegalArgumentException if the penalty is not positive or an id negative
     */
    public SourceRepetitionPenalty(double penalty, int... source) {
        this.penalty = 1 / Require.positive("encoder_repetition_penalty", penalty, "1 changes nothing.");
        this.source = Arrays.stream(Require.tokens("The source text", source)).distinct().toArray();
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        for (int token : source) {
            RepetitionPenalty.penalize(logits, token, penalty);
        }
    }
}
