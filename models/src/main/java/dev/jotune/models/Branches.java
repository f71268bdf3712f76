package dev.jotune.models;

import java.util.List;

/**
 * Several continuations of one text in one row: a trunk, which is computed once, and branches side by side after it. A
 * branch sees the trunk and itself, never another branch. All rows of a batch have the same columns; shorter trunks are
 * padded on their left, so that distances in columns are distances in the text, and shorter branches on their right.
 *
 * <p>Attention answers each branch from two segments, trunk and own keys, so that no score is computed only to be masked:
 * of P trunk tokens and branches of C_i it forms {@code P (P + 1) / 2 + sum_i C_i (P + (C_i + 1) / 2)} scores a head, where
 * separate rows form {@code sum_i (P + C_i) (P + C_i + 1) / 2}. (Wang and Hegde, arXiv 2410.20305, with a block mask; there
 * the trunk's last token is copied into each branch, here its one state predicts the first token of every branch.)
 *
 * @param trunk tokens of the trunk, P
 * @param lengths tokens of each branch
 */
public record Branches(int trunk, List<Integer> lengths) {
    /** @throws IllegalArgumentException if there is no trunk, no branch, or an empty one */
    public Branches {
        lengths = List.copyOf(lengths);
        if (trunk < 1 || lengths.isEmpty() || lengths.stream().anyMatch(n -> n < 1)) {
            throw new IllegalArgumentException("a trunk of " + trunk + " tokens with branches of " + lengths
                    + " is none. Give at least one token to the trunk and to each branch.");
        }
    }

    /** Columns of a row, T. */
    public int time() {
        return ends()[lengths.size()];
    }

    /** The columns before which trunk and branches end. */
    public int[] ends() {
        int[] ends = new int[1 + lengths.size()];
        ends[0] = trunk;
        for (int i = 0; i < lengths.size(); i++) {
            ends[i + 1] = ends[i] + lengths.get(i);
        }
        return ends;
    }
}
