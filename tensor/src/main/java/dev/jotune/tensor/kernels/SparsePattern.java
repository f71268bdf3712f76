package dev.jotune.tensor.kernels;

import java.util.Arrays;

/**
 * Where the numbers of a sparse matrix stand, in the order of its rows.
 *
 * <p>Entries are given in any order, places may repeat (their numbers add up). The numbers themselves stay where and in the
 * order that they are.
 */
public final class SparsePattern {
    private final int rows;
    private final int columns;
    private final int[] start;
    private final int[] column;
    private final int[] entry;
    private SparsePattern transposed;

    private SparsePattern(int rows, int columns, int[] start, int[] column, int[] entry) {
        this.rows = rows;
        this.columns = columns;
        this.start = start;
        this.column = column;
        this.entry = entry;
    }

    /**
     * The pattern of a matrix {@code [rows, columns]} whose entry k stands at {@code (row[k], column[k])}.
     *
     * @throws IndexOutOfBoundsException naming the first entry that lies outside
     */
    public static SparsePattern of(long rows, long columns, long[] row, long[] column) {
        if (row.length != column.length) {
            throw new IllegalArgumentException("a sparse matrix needs a row and a column for each entry, got " + row.length
                    + " rows and " + column.length + " columns.");
        }
        int n = Math.toIntExact(rows);
        int[] start = new int[n + 1];
        for (int k = 0; k < row.length; k++) {
            if (row[k] < 0 || row[k] >= rows || column[k] < 0 || column[k] >= columns) {
                throw new IndexOutOfBoundsException("entry " + k + " stands at row " + row[k] + ", column " + column[k]
                        + " of a matrix of " + rows + " rows and " + columns + " columns");
            }
            start[(int) row[k] + 1]++;
        }
        for (int i = 0; i < n; i++) {
            start[i + 1] += start[i];
        }
        int[] next = Arrays.copyOf(start, n);
        int[] at = new int[row.length];
        int[] entry = new int[row.length];
        for (int k = 0; k < row.length; k++) {
            int place = next[(int) row[k]]++;
            at[place] = (int) column[k];
            entry[place] = k;
        }
        return new SparsePattern(n, Math.toIntExact(columns), start, at, entry);
    }

    public int rows() {
        return rows;
    }

    public int columns() {
        return columns;
    }

    /** How many entries. */
    public int size() {
        return entry.length;
    }

    /** Where a row begins in {@link #column} and {@link #entry}; one more than there are rows. */
    public int start(int row) {
        return start[row];
    }

    /** The column of the i-th entry, counted by rows. */
    public int column(int i) {
        return column[i];
    }

    /** Which of the given numbers the i-th entry is. */
    public int entry(int i) {
        return entry[i];
    }

    /** The rows of the given numbers, in their order. */
    public long[] rowIds() {
        long[] out = new long[size()];
        for (int r = 0; r < rows; r++) {
            for (int i = start[r]; i < start[r + 1]; i++) {
                out[entry[i]] = r;
            }
        }
        return out;
    }

    /** The columns of the given numbers, in their order. */
    public long[] columnIds() {
        long[] out = new long[size()];
        for (int i = 0; i < out.length; i++) {
            out[entry[i]] = column[i];
        }
        return out;
    }

    /** The pattern of the transposed matrix over the same numbers. */
    public synchronized SparsePattern transposed() {
        if (transposed == null) {
            transposed = of(columns, rows, columnIds(), rowIds());
            transposed.transposed = this;
        }
        return transposed;
    }
}
