package dev.jotune.models.generate;

import java.util.Arrays;

/** The bookkeeping that all batches share: how long each row is, and that rows are read as {@link BatchSession} says. */
abstract class BatchRows implements BatchSession {

    private final int vocabularySize;
    private final int contextLength;
    private int[] lengths;
    private boolean closed;

    BatchRows(int rows, int vocabularySize, int contextLength) {
        this.lengths = new int[Require.atLeast("The number of rows", rows, 1, "A batch has at least one text.")];
        this.vocabularySize = vocabularySize;
        this.contextLength = contextLength;
    }

    /** Reads tokens that were checked; {@link #length} still gives the lengths before. */
    abstract void advance(int[][] tokens, float[][] logits);

    /** Makes new row i go on from old row {@code rows[i]}. */
    abstract void arrange(int[] rows);

    /** Frees what is held. Called once. */
    abstract void release();

    @Override
    public final int rows() {
        return lengths.length;
    }

    @Override
    public final int length(int row) {
        return lengths[row];
    }

    @Override
    public final void read(int[][] tokens, float[][] logits) {
        checkOpen();
        if (tokens.length != lengths.length || logits.length != lengths.length) {
            throw new IllegalArgumentException("The batch has " + lengths.length + " rows, but tokens of "
                    + tokens.length + " and logits of " + logits.length + " rows were given. Give one for each row.");
        }
        for (int b = 0; b < tokens.length; b++) {
            check(b, tokens, logits[b]);
        }
        advance(tokens, logits);
        for (int b = 0; b < tokens.length; b++) {
            lengths[b] += tokens[b].length;
        }
    }

    private void check(int row, int[][] tokens, float[] logits) {
        Require.inVocabulary("Text ", row, tokens[row], vocabularySize);
        if (tokens[row].length == 0 || lengths[row] > 0 && tokens[row].length != tokens[0].length) {
            throw new IllegalArgumentException("Row " + row + " got " + tokens[row].length + " tokens, row 0 got "
                    + tokens[0].length + ". Give each row at least one token, and after the first time equally many.");
        }
        long needed = (long) lengths[row] + tokens[row].length;
        if (needed > contextLength) {
            throw new IllegalArgumentException("Text " + row + " of " + needed + " tokens is longer than the context of "
                    + contextLength + ". Shorten the prompt or ask for fewer new tokens.");
        }
        if (logits.length != vocabularySize) {
            throw new IllegalArgumentException("The array for logits of row " + row + " has " + logits.length
                    + " elements, but the vocabulary has " + vocabularySize + " tokens. Pass one of that size.");
        }
    }

    @Override
    public final void reorder(int... rows) {
        checkOpen();
        boolean same = rows.length == lengths.length;
        for (int i = 0; i < rows.length; i++) {
            if (rows[i] < 0 || rows[i] >= lengths.length) {
                throw new IllegalArgumentException("Row " + rows[i] + " does not exist; there are " + lengths.length
                        + ". Name rows from 0 to " + (lengths.length - 1) + ".");
            }
            same &= rows[i] == i;
        }
        Require.atLeast("The number of rows left", rows.length, 1, "Close the batch instead.");
        if (same) {
            return;
        }
        arrange(rows);
        lengths = Arrays.stream(rows).map(row -> lengths[row]).toArray();
    }

    @Override
    public final void close() {
        if (!closed) {
            closed = true;
            release();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("The batch is closed. Open another one.");
        }
    }
}
