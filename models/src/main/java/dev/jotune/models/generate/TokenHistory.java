package dev.jotune.models.generate;

import java.util.Arrays;

/** Token ids in a growing array that processors can read without a copy. */
final class TokenHistory {

    private int[] tokens = new int[64];
    private int length;

    int length() {
        return length;
    }

    /** The array behind; only the first {@link #length} count, and it is replaced when it grows. */
    int[] array() {
        return tokens;
    }

    /** The tokens, as an array of their own. */
    int[] tokens() {
        return Arrays.copyOf(tokens, length);
    }

    /** An equal history that goes its own way. */
    TokenHistory copy() {
        TokenHistory copy = new TokenHistory();
        copy.tokens = tokens.clone();
        copy.length = length;
        return copy;
    }

    void append(int... more) {
        int needed = Math.addExact(length, more.length);
        if (needed > tokens.length) {
            long roomy = Math.min(Integer.MAX_VALUE - 8L, 2L * tokens.length);
            tokens = Arrays.copyOf(tokens, (int) Math.max(needed, roomy));
        }
        System.arraycopy(more, 0, tokens, length, more.length);
        length = needed;
    }

    void rewind(int to) {
        if (to < 0 || to > length) {
            throw new IllegalArgumentException("The history has " + length + " tokens and cannot go back to " + to
                    + ". Pass a length from 0 to " + length + ".");
        }
        length = to;
    }
}
