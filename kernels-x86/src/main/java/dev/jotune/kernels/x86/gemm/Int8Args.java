package dev.jotune.kernels.x86.gemm;

/** The argument block of the kernels on bytes: places of 64-bit numbers, in bytes from its start. Strides are in bytes. */
final class Int8Args {
    /** Rows of blocks, {@link #BLOCK} bytes each. */
    static final int A = 0;
    static final int A_STRIDE = 8;
    /** Words of four k, 256 bytes from one to the next: eight rows a block. */
    static final int PANEL = 16;
    /** The weight's scales, F32, 256 bytes a block. */
    static final int SCALES = 24;
    static final int BLOCKS = 32;
    static final int C = 40;
    static final int C_STRIDE = 48;
    /** Tiles of rows; of the rounding kernel, rows. */
    static final int ROWS = 56;
    /** Columns of the last two vectors, 16 bits each. */
    static final int MASK = 64;
    static final int UPPER_MASK = 72;

    /** A rounded block: 32 signed bytes, then their sum times -128, then what one of them stands for. */
    static final int BLOCK = 40;
    static final int SUM = 32;
    static final int SCALE = 36;
    /** Numbers in a block. */
    static final int LENGTH = 32;

    private Int8Args() {
    }
}
