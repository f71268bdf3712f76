package dev.jotune.models.generate;

import java.util.Arrays;

/**
 * Removes the tokens that would repeat an n-gram of the text so far, prompt included (Paulus et al.,
 * arXiv 1705.04304), or one of a given source text ({@code encoder_no_repeat_ngram_size}).
 */
public final class NoRepeatNgram implements LogitsProcessor {

    private final int size;
    private final int[] source;
    private final boolean ofHistory;

    /**
     * No n-gram of the history again.
     *
     * @param size n, at least 1
     * @throws IllegalArgumentException if it is less
     */
    public NoRepeatNgram(int size) {
        this(size, new int[0], true);
    }

    private NoRepeatNgram(int size, int[] source, boolean ofHistory) {
        this.size = Require.atLeast("no_repeat_ngram_size", size, 1, "Leave it out to allow repetition.");
        this.source = source;
        this.ofHistory = ofHistory;
    }

    /** No n-gram of the source text. */
    public static NoRepeatNgram ofSource(int size, int... source) {
        return new NoRepeatNgram(size, Require.tokens("The source text", source), false);
    }

    @Override
    public void apply(int[] history, int length, float[] logits) {
        int prefix = size - 1;
        if (length < prefix) {
            return;
        }
        int[] text = ofHistory ? history : source;
        int textLength = ofHistory ? length : source.length;
        for (int start = 0; start + prefix < textLength; start++) {
            if (Arrays.equals(text, start, start + prefix, history, length - prefix, length)) {
                logits[text[start + prefix]] = Float.NEGATIVE_INFINITY;
            }
        }
    }
}
