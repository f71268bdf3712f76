package dev.jotune.kernels.x86.gemm;

/**
 * How a tile kernel reads the two factors of its inner sum; sums are F32.
 *
 * <p>Split factors are sums of BF16 pieces: the number rounded to BF16, what is left rounded to BF16, and so on. Two
 * pieces hold 16 bits of a number, three all 24. {@code SplitAccuracyTest} measures the largest error of an element of a
 * product, relative to the sum of its terms' magnitudes, over sums of 576 terms of normal numbers:
 * <ul>
 * <li>1.1e-6 for {@link #SPLIT_3}, which leaves out the products of second pieces (2^-16 of a term at most);
 * <li>5.1e-8 for {@link #SPLIT_6}, which leaves out less than 2^-23, and 4.1e-8 for {@link #SPLIT_PAIRED}, which leaves out
 * nothing;
 * <li>2.2e-7 for a sum in F32, term after term, which rounds oftener; 5.7e-4 with both factors rounded to BF16.
 * </ul>
 * Infinite numbers, and those from 3.39e38 on, whose first piece is infinite, give NaN where F32 gives infinity. Pieces
 * below 1.2e-38 count as zero, so that numbers below about 1e-33 lose their last bits.
 */
enum Operands {
    /** Both F32: panels {@code [K][64]} of floats. */
    F32(1, 1),
    /** Both F32; the panel is a part of a row-major matrix, read where it lies. */
    LOOSE(1, 1),
    /** Both F32, at most 8 columns, as a low-rank factor has them: panels {@code [K][8]} of floats, for half vectors at twice the rate. */
    NARROW(1, 1),
    /** Both BF16: rows of A in pairs of consecutive k, panels {@code [K/2][64][2]}. */
    BF16(1, 1, new int[] {0, 0}),
    /** A is F32, panels {@code [K/2][64][2]} of BF16 are widened, exactly, as they are read. */
    WIDENED(1, 1),
    /** Both F32 in two pieces, without the product of the second ones. */
    SPLIT_3(2, 2, new int[] {0, 1}, new int[] {0, 0}, new int[] {1, 0}),
    /** Both F32 in three pieces, without the products of less than 2^-24. */
    SPLIT_6(3, 3, new int[] {0, 2}, new int[] {0, 1}, new int[] {1, 1}, new int[] {1, 0}, new int[] {2, 0}, new int[] {0, 0}),
    /** A is F32 in three pieces, panels are BF16 in pairs as they are kept: nothing is left out. */
    SPLIT_PAIRED(3, 1, new int[] {2, 0}, new int[] {1, 0}, new int[] {0, 0});

    private static final int STEP = 32;
    private final int leftPieces;
    private final int rightPieces;
    private final int[][] products;

    Operands(int leftPieces, int rightPieces, int[]... products) {
        this.leftPieces = leftPieces;
        this.rightPieces = rightPieces;
        this.products = products;
    }

    /** Pieces of an element of A. */
    int leftPieces() {
        return leftPieces;
    }

    /** Pieces of an element of a panel. */
    int rightPieces() {
        return rightPieces;
    }

    /** The pieces of A and of the panel that each product of a step takes, in their order; none if it is no product of BF16. */
    int[][] products() {
        return products;
    }

    /** Whether factors are made of pieces, which AMX alone multiplies. */
    boolean isSplit() {
        return leftPieces > 1;
    }

    /** 32-bit words of a panel's column that {@code k} steps of the sum take. */
    int words(int k) {
        return isSplit() ? (k + STEP - 1) / STEP * STEP / 2 * rightPieces : madeWords(k);
    }

    /** Those of them that who makes a panel writes; the others, up to a whole step of a kernel, are to be zeros. */
    int madeWords(int k) {
        if (rightPieces > 1) {
            return words(k);
        }
        return isWide() ? k : (k + 1) / 2;
    }

    /** Whether panels hold F32, a word for each step. */
    boolean isWide() {
        return this == F32 || this == LOOSE || this == NARROW;
    }

    /** Columns of a panel. */
    int width() {
        return this == NARROW ? 8 : TileCode.WIDTH;
    }

    /** Bytes from one row of a panel that is made to the next. */
    int panelRow() {
        return 4 * width();
    }

    /** Bytes from an element of a row of A that is made for the product to the one {@code k} further; k a multiple of 64 or the row's end. */
    long rowBytes(int k) {
        return products.length == 0 ? 4L * k : (long) (k + STEP - 1) / STEP * STEP * 2 * leftPieces;
    }
}
