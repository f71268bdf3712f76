/*
 * c[m, n] = a[m, inner] b[n, inner]^T of BF16, for tests of the emulator: tiles of 64 x 64 by four warps, steps of 32 in two buffers.
 * Comments name the places where tests plant faults.
 */
#define ROW 40
FN void fetch(u16* tile, const u16* from, int row0, int inner, int k) {
    for (int i = LID; i < 64 * 4; i += GROUP) {
        cp_async16(tile + i / 4 * ROW + i % 4 * 8, from + (i64)(row0 + i / 4) * inner + k + i % 4 * 8, 16);
    }
}

KERNEL {
    SHM __align__(16) u16 as[2][64 * ROW];
    SHM __align__(16) u16 bs[2][64 * ROW];
    int lane = LID % 32;
    int row = LID / 64 * 32;
    int column = LID / 32 % 2 * 32;
    float d[2][4][4] = {};
    fetch(as[0], a, BIDY * 64, inner, 0);
    fetch(bs[0], b, BIDX * 64, inner, 0);
    cp_async_commit();
    for (int t = 0; t < inner / 32; t++) {
        if (t + 1 < inner / 32) {
            fetch(as[(t + 1) % 2], a, BIDY * 64, inner, 32 * (t + 1));
            fetch(bs[(t + 1) % 2], b, BIDX * 64, inner, 32 * (t + 1));
        }
        cp_async_commit();
        CP_ASYNC_WAIT(1);
        BARRIER(); /* before use */
        for (int k = 0; k < 32; k += 16) {
            u32 x[2][4];
            u32 y[2][4];
            UNROLL
            for (int i = 0; i < 2; i++) {
                ldmatrix_x4(x[i], as[t % 2] + (row + 16 * i + lane % 16) * ROW + k + lane / 16 * 8);
                ldmatrix_x4(y[i], bs[t % 2] + (column + 16 * i + lane % 8 + lane / 16 * 8) * ROW + k + lane / 8 % 2 * 8);
            }
            UNROLL
            for (int i = 0; i < 2; i++) {
                UNROLL
                for (int j = 0; j < 4; j++) {
                    mma_bf16(d[i][j], x[i], y[j / 2] + j % 2 * 2);
                }
            }
        }
        BARRIER(); /* before the next copies */
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
        UNROLL
        for (int j = 0; j < 4; j++) {
            UNROLL
            for (int e = 0; e < 4; e++) {
                i64 m = BIDY * 64 + row + 16 * i + lane / 4 + e / 2 * 8;
                c[m * columns + BIDX * 64 + column + 8 * j + lane % 4 * 2 + e % 2] = d[i][j][e];
            }
        }
    }
}
