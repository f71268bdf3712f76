package dev.jotune.kernels.x86.gemm;

/**
 * The argument block of a tile kernel: places of 64-bit numbers, in bytes from its start. Strides are in bytes.
 *
 * <p>The kernel computes, for {@code TILES} tiles of rows one below the other and one panel of up to 64 columns,
 * {@code C = scale A B + left right^T + bias + residual}, and may change the block.
 */
final class TileArgs {
    /** First row of A. */
    static final int A = 0;
    static final int A_STRIDE = 8;
    /** The panel: rows of 256 bytes, or of any stride. */
    static final int PANEL = 16;
    /** Steps of the inner sum: k, or pairs of k where A is BF16. */
    static final int STEPS = 24;
    static final int C = 32;
    static final int C_STRIDE = 40;
    static final int TILES = 48;
    /** What the caches should fetch meanwhile: usually the next panel. */
    static final int AHEAD = 56;
    /** F32, one for each column; 0 for none. */
    static final int BIAS = 64;
    /** F32, as C; 0 for none; C itself to accumulate. */
    static final int RESIDUAL = 72;
    static final int RESIDUAL_STRIDE = 80;
    /** F32 rows of {@code RANK} more steps of the inner sum; 0 for none. */
    static final int LEFT = 88;
    static final int LEFT_STRIDE = 96;
    /** Their panel, F32. */
    static final int RIGHT = 104;
    static final int RANK = 112;
    /** Which lanes of the last vector are columns: 16 bits. */
    static final int MASK = 120;
    /** Where the panel lies loosely: from one of its rows to the next. */
    static final int PANEL_STRIDE = 128;
    /** F32 in the lower half, and the upper half not 0; 0 for a scale of 1. Vector kernels alone know it. */
    static final int SCALE = 136;
    static final int SIZE = 144;

    private TileArgs() {
    }
}
