package dev.jotune.kernels.x86.gemm;

/**
 * The micro-kernel behind the loops of {@link Product}: rows of A, as they lie or converted, by one panel of up to 64
 * columns. It fits tiles of vectors and AMX's alike: A in rows, BF16 in pairs of consecutive k and padded with zeros to
 * 64 bytes; panels {@code [steps][64]} of F32 or of BF16 pairs, padded with zeros to {@link #STEP_PAD} steps.
 */
interface PanelKernel {
    /** Steps to which panels are padded: an AMX tile's 16 pairs. */
    int STEP_PAD = 16;

    /** Rows of a whole tile: groups of rows are multiples of it. */
    int height(Operands operands);

    /**
     * Computes {@code rows} rows and {@code columns} columns of C.
     *
     * @param ahead     what the caches may fetch meanwhile
     * @param arguments a {@link TileArgs} block, filled but for {@code TILES}, {@code MASK} and {@code AHEAD}; may be changed
     */
    void run(Operands operands, int rows, int columns, Stretches ahead, long arguments);
}
