/*
 * dA_g [R, in] = sum of back_i^T x_i and (dB_g)^T [R, out] = sum of scores_i^T dy_i, over the rows i of each adapter g: both in one launch, every
 * number by one item, over rows in their order, so that the same bits come out whatever the schedule.
 *
 * A group takes 32 columns of x or of dy and RANKS ranks of an adapter, its warps every WARPS-th of the adapter's rows, a lane a column: a
 * line of 128 bytes and four reads of scores that all lanes share, for RANKS multiply-adds. Warps' sums meet in shared memory. x and dy
 * are read once for each RANKS ranks: 4 M (in + out) bytes, beside 2 M R (in + out) operations.
 *
 * BIDX: columns, of x first. BIDY: ranks. BIDZ: adapters. The plan has for each adapter its rank, where its rows begin in the list behind, how
 * many they are, and where its numbers go in out; without LISTED rows are their own list.
 */
#define RANKS 16
#define COLUMNS 32
#define WARPS (GROUP / 32)

KERNEL {
    SHM float part[WARPS][RANKS][COLUMNS];
    const i64* of = plan + 4 * BIDZ;
    int rank = (int)of[0];
    int r0 = BIDY * RANKS;
    if (r0 >= rank) {
        return;
    }
#if LISTED
    const i64* own = plan + 4 * adapters + of[1];
#endif
    int count = (int)of[2];
    int slabs = (inner + COLUMNS - 1) / COLUMNS;
    int second = BIDX >= slabs;
    int width = second ? columns : inner;
    int n = (BIDX - (second ? slabs : 0)) * COLUMNS + LID % 32;
    const float* lines = second ? dy : x;
    i64 pitch = second ? dy_row : x_row;
    const float* shared_lines = second ? scores : back;
    i64 shared_pitch = second ? scores_row : back_row;
    float sum[RANKS];
    UNROLL
    for (int r = 0; r < RANKS; r++) {
        sum[r] = 0.0f;
    }
    if (n < width) {
        UNROLL_BY(4)
        for (int i = LID / 32; i < count; i += WARPS) {
#if LISTED
            i64 row = own[i];
#else
            i64 row = i;
#endif
            float v = ld_f32(lines, row * pitch + n);
            UNROLL
            for (int r = 0; r < RANKS; r += 4) {
                real4 s = ld4_f32(shared_lines, row * shared_pitch + r0 + r);
                sum[r] = FMA(s.x, v, sum[r]);
                sum[r + 1] = FMA(s.y, v, sum[r + 1]);
                sum[r + 2] = FMA(s.z, v, sum[r + 2]);
                sum[r + 3] = FMA(s.w, v, sum[r + 3]);
            }
        }
    }
    UNROLL
    for (int r = 0; r < RANKS; r++) {
        part[LID / 32][r][LID % 32] = sum[r];
    }
    BARRIER();
    if (n < width) {
        for (int r = LID / 32; r < RANKS && r0 + r < rank; r += WARPS) {
            float total = 0.0f;
            UNROLL
            for (int w = 0; w < WARPS; w++) {
                total += part[w][r][LID % 32];
            }
            ST(out, of[3] + (second ? (i64)rank * inner : 0) + (i64)(r0 + r) * width + n, total);
        }
    }
}
