package dev.jotune.models.generate;

/**
 * Several texts read and written in lock step, one a row, with what the model keeps of them. Rows are copied, dropped
 * and put in another order by {@link #reorder}, which is all that a batch whose texts end one by one, beam search and
 * contrastive search need. Not for use by several threads. After an exception it can only be closed.
 */
public interface BatchSession extends AutoCloseable {

    /** Number of rows, B. */
    int rows();

    /** Number of tokens that a row has read. */
    int length(int row);

    /**
     * Appends tokens to every row and gives the logits after them. What a row gets does not depend on the others.
     *
     * @param tokens [B]: the first time the prompts, of any length, at least one token each; later equally many for each row
     * @param logits [B][V] takes the logits after each row's last token
     * @throws IllegalArgumentException if the rows do not fit this rule, an id is outside the vocabulary, or the
     *                                  context has no room
     */
    void read(int[][] tokens, float[][] logits);

    /**
     * Makes row i go on from what is now row {@code rows[i]}; there are then {@code rows.length} rows.
     *
     * @throws IllegalArgumentException if there is no such row, or none is left
     */
    void reorder(int... rows);

    /** Releases what the rows hold. Closing twice does nothing. */
    @Override
    void close();
}
