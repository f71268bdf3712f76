/*
 * out (+)= a b of halves (BF16 or F16) with sums in F32, on tensor cores (mma.sync), whatever the operands' strides.
 *
 * The simplest of three: a group makes a tile of 64 x 64, each of its four warps 32 x 32; steps of 32 of the inner axis are read number
 * by number along whatever axis is nearer, written to shared memory with the inner axis contiguous, and multiplied after a
 * barrier. Nothing is on its way meanwhile, so several groups on a unit have to hide what one waits for. gemm_mma.cu copies
 * sixteen bytes at a time behind the multiplications' back, but needs lines that begin at multiples of sixteen bytes.
 *
 * Lines of 40 halves: eight of them, read by ldmatrix at once, meet all banks.
 *
 * HALF_F16  1: F16, 0: BF16
 */
#define TILE 64
#define DEPTH 32
#define PITCH (DEPTH + 8)
#define COPIES (TILE * DEPTH / GROUP)

KERNEL {
    SHM __align__(16) u16 a_tile[TILE * PITCH];
    SHM __align__(16) u16 b_tile[TILE * PITCH];
    int row_tiles = (rows + TILE - 1) / TILE;
    int column_tiles = (columns + TILE - 1) / TILE;
    int batch = BIDX / (row_tiles * column_tiles);
    int row0 = BIDX % row_tiles * TILE;
    int column0 = BIDX / row_tiles % column_tiles * TILE;
    i64 outer = batch / inner_batches;
    i64 within = batch % inner_batches;
    const u16* a_from = a + outer * a_outer + within * a_within;
    const u16* b_from = b + outer * b_outer + within * b_within;
    int a_along = a_inner <= a_row;
    int b_along = b_inner <= b_column;
    int lane = LID % 32;
    int warp_row = LID / 64 * 32;
    int warp_column = LID / 32 % 2 * 32;
    float sum[2][4][4];
    UNROLL
    for (int i = 0; i < 2; i++) {
        UNROLL
        for (int j = 0; j < 4; j++) {
            sum[i][j][0] = sum[i][j][1] = sum[i][j][2] = sum[i][j][3] = 0.0f;
        }
    }
    for (int k0 = 0; k0 < inner; k0 += DEPTH) {
        UNROLL_BY(4)
        for (int i = 0; i < COPIES; i++) {
            int at = LID + i * GROUP;
            int line = a_along ? at / DEPTH : at % TILE;
            int k = a_along ? at % DEPTH : at / TILE;
            int there = row0 + line < rows && k0 + k < inner;
            a_tile[line * PITCH + k] = there ? a_from[(row0 + line) * a_row + (k0 + k) * a_inner] : (u16)0;
            line = b_along ? at / DEPTH : at % TILE;
            k = b_along ? at % DEPTH : at / TILE;
            there = column0 + line < columns && k0 + k < inner;
            b_tile[line * PITCH + k] = there ? b_from[(column0 + line) * b_column + (k0 + k) * b_inner] : (u16)0;
        }
        BARRIER();
        UNROLL
        for (int d = 0; d < DEPTH; d += 16) {
            u32 left[2][4];
            u32 right[2][4];
            UNROLL
            for (int i = 0; i < 2; i++) {
                ldmatrix_x4(left[i], a_tile + (warp_row + 16 * i + lane % 16) * PITCH + d + lane / 16 * 8);
                ldmatrix_x4(right[i], b_tile + (warp_column + 16 * i + lane % 8 + lane / 16 * 8) * PITCH + d + lane / 8 % 2 * 8);
            }
            UNROLL
            for (int i = 0; i < 2; i++) {
                UNROLL
                for (int j = 0; j < 4; j++) {
#if HALF_F16
                    mma_f16(sum[i][j], left[i], right[j / 2] + j % 2 * 2);
#else
                    mma_bf16(sum[i][j], left[i], right[j / 2] + j % 2 * 2);
#endif
                }
            }
        }
        BARRIER();
    }
    i64 out_at = outer * out_outer + within * out_within;
    UNROLL
    for (int i = 0; i < 2; i++) {
        UNROLL
        for (int j = 0; j < 4; j++) {
            UNROLL
            for (int e = 0; e < 4; e++) {
                int m = row0 + warp_row + 16 * i + e / 2 * 8 + lane / 4;
                int n = column0 + warp_column + 8 * j + lane % 4 * 2 + e % 2;
                if (m < rows && n < columns) {
                    i64 at = out_at + m * out_row + n * out_column;
                    ST(out, at, accumulate ? LD(out, at) + sum[i][j][e] : sum[i][j][e]);
                }
            }
        }
    }
}
