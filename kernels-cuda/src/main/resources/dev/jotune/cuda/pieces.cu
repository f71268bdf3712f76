/*
 * Numbers of F32 as sums of BF16: x = first + second + third, each what rounding leaves of the ones before, 8 bits a piece. Products of pieces
 * are exact on tensor cores, so that three or more of them make a product to the accuracy of F32. (The idea: Henry, Tang and
 * Heinecke, arXiv 1904.06376.) An item a number; 4 bytes read and 6 written, each of them by neighbours at once.
 *
 * Three planes are written, of which plane p gets the piece P0, P1 or P2: 0, 1, 2. An infinity leaves no number behind it.
 */
KERNEL {
    i64 count = rows * columns;
    for (i64 i = (i64)BIDX * GROUP + LID; i < count; i += (i64)GRIDX * GROUP) {
        i64 m = i / columns;
        i64 c = i % columns;
        float v = LD(x, m * x_row + c * x_column);
        u16 piece[3];
        UNROLL
        for (int p = 0; p < 3; p++) {
            u16 bits = (u16)pack_bf16(v, 0.0f);
            piece[p] = bits;
            v -= FLOAT_OF((u32)bits << 16);
        }
        i64 at = m * y_row + c * y_column;
        y[at] = piece[P0];
        y[at + y_plane] = piece[P1];
        y[at + 2 * y_plane] = piece[P2];
    }
}
