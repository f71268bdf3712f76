package dev.jotune.models;

/** What a decoder remembers of the tokens so far, so that a step costs one token. */
public interface DecoderCache {
    /** Tokens stored, virtual ones included. */
    long length();

    /** Rows (B). */
    long batch();

    /**
     * Forgets the tokens from {@code newLength} on.
     *
     * @throws IllegalArgumentException if there are fewer
     * @throws UnsupportedOperationException if what is stored is a state that cannot go back that far
     */
    void truncate(long newLength);

    /** Row i becomes what row {@code rows[i]} was; the number of rows may change. */
    void reorder(int[] rows);

    /** Gives the memory back. */
    void free();
}
