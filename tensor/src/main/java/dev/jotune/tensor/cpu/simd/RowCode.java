package dev.jotune.tensor.cpu.simd;

/**
 * What an extension has for the product of one row of x with a quantised weight. Addresses are not checked; x has as many
 * numbers as the weight has columns.
 */
public interface RowCode {
    /** Bytes that a row of x takes in the form that {@link #sums} reads. */
    long bytes(int columns);

    /** The row of F32 numbers at {@code x} in that form, at {@code to}, which is aligned to 64 bytes. */
    void prepare(long x, int columns, long to);

    /**
     * Partial sums of {@code count} rows of the weight with one of x: sixteen floats each, whose sum is the product's element.
     *
     * @param x        a prepared row
     * @param row      where the first row of the weight lies
     * @param rowBytes from one to the next
     * @param out      where the first one's sums go, aligned to 64 bytes
     * @param step     bytes from one row's sums to the next's
     */
    void sums(long x, long row, long rowBytes, int columns, int count, long out, long step);
}
