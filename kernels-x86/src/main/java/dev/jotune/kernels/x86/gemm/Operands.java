package dev.jotune.kernels.x86.gemm;

/** How a tile kernel reads the two factors of its inner sum; sums are F32. */
enum Operands {
    /** Both F32: panels {@code [K][64]} of floats. */
    F32,
    /** Both F32; the panel is a part of a row-major matrix, read where it lies. */
    LOOSE,
    /** Both BF16: rows of A in pairs of consecutive k, panels {@code [K/2][64][2]}. */
    BF16,
    /** A is F32, panels {@code [K/2][64][2]} of BF16 are widened, exactly, as they are read. */
    WIDENED;

    /** 32-bit words of a panel's column that {@code k} steps of the sum take. */
    int words(int k) {
        return this == F32 || this == LOOSE ? k : (k + 1) / 2;
    }
}
