package dev.jotune.kernels.x86.gemm;

/**
 * Ways of bringing an operand into the order that the tile kernels read. Words are 32 bits: an F32, or a pair of BF16.
 * Each copies {@code ROWS} rows of {@code COLUMNS} words (see {@link RepackCode}).
 */
enum Repack {
    /** {@code target[c][r] = source[r][c]}. */
    TRANSPOSE(64, 16),
    /** Source {@code [k/2][n][2]}, target {@code [n/2][k][2]}: the other pairing of the same BF16 numbers. */
    PAIRS(128, 8),
    /** Source {@code [k/2][n][2]} of BF16, target {@code [n][k]} of F32. */
    WIDEN_PAIRS(128, 16),
    /** Source {@code [k][n]} of F32, target {@code [n/2][k][2]} of BF16, rounded to nearest, ties to even. */
    ROUND_TRANSPOSED(64, 8),
    /** Source {@code [k][n]} of F32, target {@code [k/2][n][2]} of BF16, rounded likewise; n at most 64. */
    ROUND_PANEL(0, 0),
    /** Rows of F32, rounded to rows of BF16 that are padded with zeros to 64 bytes. */
    ROUND_ROWS(0, 0),
    /** Rows of BF16 widened to F32, padded with zeros to 64 bytes; columns count F32 numbers. */
    WIDEN_ROWS(0, 0),
    /** Rows as they are, padded with zeros to 64 bytes. */
    COPY_ROWS(0, 0),
    /** Rows of F32 in two BF16 pieces; see {@link SplitCode}. */
    SPLIT_ROWS_2(0, 0),
    /** Rows of F32 in three BF16 pieces. */
    SPLIT_ROWS_3(0, 0),
    /** A panel {@code [k][64]} of F32 in two BF16 pieces. */
    SPLIT_PANEL_2(0, 0),
    /** A panel {@code [k][64]} of F32 in three BF16 pieces. */
    SPLIT_PANEL_3(0, 0);

    /** Of a transposing copy: bytes of the target's row that 16 rows of the source fill. */
    final int filled;
    /** Of a transposing copy: rows of the target that 16 words of the source's row make. */
    final int made;

    Repack(int filled, int made) {
        this.filled = filled;
        this.made = made;
    }

    boolean isTransposing() {
        return filled > 0;
    }
}
