package dev.jotune.kernels.x86.gemm;

/**
 * One row of x as whole numbers, and the argument block of the kernels that make and read it.
 *
 * <p>A block of {@link #LENGTH} numbers has a scale s, its largest magnitude over {@link #LARGEST}, and each number is
 * {@code s (65536 a + 256 b + c)} with signed bytes a, b and c, rounded to the nearest: what is lost is at most 1.3e-7 of the largest.
 * A block takes {@link #BLOCK} bytes; behind the blocks lie the scales, F32, and behind those the sums of x, F32.
 */
final class RowArgs {
    /** Rows of the weight: where the first lies, and bytes from one to the next. Of the making kernel: the F32 row. */
    static final int W = 0;
    static final int W_STRIDE = 8;
    /** The row of x. */
    static final int X = 16;
    static final int SCALES = 24;
    static final int SUMS = 32;
    /** Blocks of the weight's format in a row, or of {@link #LENGTH} numbers to make. */
    static final int BLOCKS = 40;
    /** Rows of the weight. */
    static final int COUNT = 48;
    /** Sixteen sums a row of the weight, and bytes from one row's to the next's. */
    static final int OUT = 56;
    static final int OUT_STEP = 64;
    /** A vector's room for the kernel. */
    static final int ROOM = 128;
    static final int SIZE = 192;

    /** Numbers in a block. */
    static final int LENGTH = 32;
    static final int A = 0;
    static final int B = 32;
    static final int C = 64;
    /** The sums of four neighbours over s, eight ints, times -8 and times -128: what codes that were made unsigned count too much. */
    static final int TIMES_8 = 96;
    static final int TIMES_128 = 128;
    static final int BLOCK = 160;
    /** Bits of a digit. */
    static final int DIGIT = 8;
    /** Four products with signed bytes, added up, still fit 32 bits. */
    static final float LARGEST = 63 << 2 * DIGIT;

    private RowArgs() {
    }

    /** Bytes of a row. */
    static long bytes(int columns) {
        return columns / LENGTH * (BLOCK + 2L * Float.BYTES) + 63 & -64;
    }

    static long scales(int columns) {
        return columns / LENGTH * (long) BLOCK;
    }

    static long sums(int columns) {
        return columns / LENGTH * (BLOCK + (long) Float.BYTES);
    }
}
