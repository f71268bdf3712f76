package dev.jotune.models;

/** What a decoder remembers of the tokens so far, so that a step costs one token. */
public interface DecoderCache {
    /** Tokens stored, virtual ones included. */
    long length();

    /** Tokens that lie before those stored and belong to several rows: those of a {@link TokenTree}, virtual ones included. */
    default long before(int row) {
        return 0;
    }

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

    /**
     * From now on stores tokens in blocks, which rows share where their texts are the same; while empty. A cache whose size
     * does not grow with the text stays as it is.
     *
     * @param size tokens of a block
     */
    default void inBlocks(int size) {}

    /** Gives the memory back. */
    void free();
}
