/*
 * y_i += s_g (x_i A_g^T) B_g^T for many rows of each adapter g: a group takes up to ROWS of them, wherever they lie, so that an adapter is
 * read once for all of these. (SGMV of Punica, arXiv 2310.18547; both products in one launch.) Behind the adapters the plan has for
 * each group where its rows begin in a list, how many there are, and their adapter; then that list.
 *
 * Scores: a warp takes four rows and one of two halves of the inner axis, RANKS rows of A at a time; lanes read four neighbours each of x
 * and of A, 20 reads of 16 bytes for 256 multiply-adds, most of A's from the first-level cache since four warps ask for them. Its 64
 * sums meet over lanes by shuffles and over halves in shared memory, always in the same order. Ranks above RANKS take x again, from L2.
 * Then each item makes columns of y for all ROWS. Sums are in F32: for the ranks that adapters have the bound is x and y themselves,
 * 4 (M in + 2 M out) bytes, beside 2 M R (in + out) operations.
 *
 * VECTOR     1: x and all A are contiguous along the inner axis and read by fours, 0: one by one
 * UP_VECTOR  1: all B are contiguous along the rank and read by fours
 * KEEP       1: the scores stay, for the gradient of B
 */
#define ROWS 16
#define RANKS 16
#define FOUR 4
#define HALVES 2
#define MOST_RANK 256
#define FULL 0xffffffffu

KERNEL {
    SHM float scores[ROWS][MOST_RANK];
    SHM float part[HALVES][ROWS][RANKS];
    const i64* tile = plan + (i64)adapters * PLAN + 3 * BIDX;
    const i64* own = plan + (i64)adapters * PLAN + 3 * GRIDX + tile[0];
    int count = (int)tile[1];
    int g = (int)tile[2];
    int rank = RANK(g);
    downs down = (downs)DOWN_AT(g);
    ups up = (ups)UP_AT(g);
    i64 down_row = DOWN_ROW(g);
    i64 up_row = UP_ROW(g);
#if !VECTOR
    i64 down_inner = DOWN_INNER(g);
#endif
#if !UP_VECTOR
    i64 up_inner = UP_INNER(g);
#endif
    int lane = LID % 32;
    int quad = LID / 32 % (ROWS / FOUR) * FOUR;
    int half = LID / 32 / (ROWS / FOUR);
    i64 x_at[FOUR];
    UNROLL
    for (int m = 0; m < FOUR; m++) {
        /* Rows that are not there are the last one again, and stay unwritten. */
        x_at[m] = own[quad + m < count ? quad + m : count - 1] * x_row;
    }
    for (int r0 = 0; r0 < rank; r0 += RANKS) {
        float sum[FOUR][RANKS];
        UNROLL
        for (int m = 0; m < FOUR; m++) {
            UNROLL
            for (int r = 0; r < RANKS; r++) {
                sum[m][r] = 0.0f;
            }
        }
#if VECTOR
        for (int k = (half * 32 + lane) * 4; k < inner; k += HALVES * 128) {
            real4 u[FOUR];
            UNROLL
            for (int m = 0; m < FOUR; m++) {
                u[m] = LD4(x, x_at[m] + k);
            }
            UNROLL
            for (int r = 0; r < RANKS; r++) {
                if (r0 + r < rank) {
                    real4 v = LD4_DOWN(down, (r0 + r) * down_row + k);
                    UNROLL
                    for (int m = 0; m < FOUR; m++) {
                        sum[m][r] = FMA(u[m].x, v.x, FMA(u[m].y, v.y, FMA(u[m].z, v.z, FMA(u[m].w, v.w, sum[m][r]))));
                    }
                }
            }
        }
#else
        for (int k = half * 32 + lane; k < inner; k += HALVES * 32) {
            float u[FOUR];
            UNROLL
            for (int m = 0; m < FOUR; m++) {
                u[m] = LD(x, x_at[m] + k * x_inner);
            }
            UNROLL
            for (int r = 0; r < RANKS; r++) {
                if (r0 + r < rank) {
                    float v = LD_DOWN(down, (r0 + r) * down_row + k * down_inner);
                    UNROLL
                    for (int m = 0; m < FOUR; m++) {
                        sum[m][r] = FMA(u[m], v, sum[m][r]);
                    }
                }
            }
        }
#endif
        UNROLL
        for (int m = 0; m < FOUR; m++) {
            UNROLL
            for (int r = 0; r < RANKS; r++) {
                UNROLL
                for (int apart = 16; apart > 0; apart /= 2) {
                    sum[m][r] += __shfl_xor_sync(FULL, sum[m][r], apart);
                }
                if (lane == 0) {
                    part[half][quad + m][r] = sum[m][r];
                }
            }
        }
        BARRIER();
        int m = LID / RANKS;
        int r = LID % RANKS;
        if (r0 + r < rank) {
            float total = (part[0][m][r] + part[1][m][r]) * SCALE(g);
            scores[m][r0 + r] = total;
#if KEEP
            if (m < count) {
                ST(kept, own[m] * kept_row + r0 + r, total);
            }
#endif
        }
        BARRIER();
    }
    for (int n = LID; n < columns; n += GROUP) {
        i64 b_at = n * up_row;
        float sum[ROWS];
        UNROLL
        for (int m = 0; m < ROWS; m++) {
            sum[m] = 0.0f;
        }
#if UP_VECTOR
        for (int r = 0; r < rank; r += 4) {
            real4 v = LD4_UP(up, b_at + r);
            UNROLL
            for (int m = 0; m < ROWS; m++) {
                const float* s = scores[m] + r;
                sum[m] = FMA(s[0], v.x, FMA(s[1], v.y, FMA(s[2], v.z, FMA(s[3], v.w, sum[m]))));
            }
        }
#else
        for (int r = 0; r < rank; r++) {
            float v = LD_UP(up, b_at + r * up_inner);
            UNROLL
            for (int m = 0; m < ROWS; m++) {
                sum[m] = FMA(scores[m][r], v, sum[m]);
            }
        }
#endif
        UNROLL
        for (int m = 0; m < ROWS; m++) {
            if (m < count) {
                i64 at = own[m] * y_row + n * y_column;
                ST(y, at, LD(y, at) + sum[m]);
            }
        }
    }
}
