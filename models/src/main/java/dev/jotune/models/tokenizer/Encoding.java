package dev.jotune.models.tokenizer;

import java.util.List;

/**
 * What a text became. All arrays have one entry a token, {@code offsets} two. Do not change the arrays.
 *
 * @param ids ids of the tokens
 * @param tokens their texts as the vocabulary writes them
 * @param offsets where each token begins and (exclusive) ends in its text, in Unicode code points; 0, 0 for tokens that
 *     stand for nothing in it
 * @param typeIds the segment each token belongs to, as models of sentence pairs want it
 * @param specialTokensMask 1 for tokens that post-processing or padding added
 * @param attentionMask 0 for padding
 * @param wordIds which word of its text the token belongs to, -1 for none
 * @param sequenceIds 0 for the first text, 1 for the second, -1 for neither
 * @param overflowing the further windows where truncation cut the text, each without windows of its own
 */
public record Encoding(int[] ids, List<String> tokens, int[] offsets, int[] typeIds, int[] specialTokensMask,
                       int[] attentionMask, int[] wordIds, int[] sequenceIds, List<Encoding> overflowing) {

    /** In {@link #wordIds} and {@link #sequenceIds}: belongs to none. */
    public static final int NONE = -1;

    public Encoding {
        tokens = List.copyOf(tokens);
        overflowing = List.copyOf(overflowing);
    }

    /** The number of tokens. */
    public int length() {
        return ids.length;
    }
}
