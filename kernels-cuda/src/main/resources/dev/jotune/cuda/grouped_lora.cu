/*
 * y_i += s_g (x_i A_g^T) B_g^T, each row i with an adapter g of its own: both products in one launch, row by row. (BGMV of Punica, arXiv
 * 2310.18547, which has a kernel for each.) What the plan has behind the adapters is the adapter of each row, negative for none.
 *
 * A group takes a row. Its warps share the R rows of A_g: with W warps a row of A_g is read by W / R of them, part by part, or a warp reads
 * several; lanes read four neighbours each, several steps ahead of the sums. The scores meet in shared memory; then each item makes
 * columns of y, of which B_g has R neighbours. Bound by reading the adapters: 2 (R in + out R) bytes a row for halves, all of them asked for
 * at once by 1024 items. Rows that share an adapter read it again, from L2: this is for a token of each of many texts, and
 * grouped_lora_runs.cu for many tokens of each.
 *
 * VECTOR     1: x and A are contiguous along the inner axis and read by fours, 0: one by one
 * UP_VECTOR  1: B is contiguous along the rank and read by fours
 * KEEP       1: the scores s_g x_i A_g^T stay, for the gradient of B
 */
#define WARPS (GROUP / 32)
#define MOST_RANK 256

KERNEL {
    SHM float part[WARPS];
    SHM float scores[MOST_RANK];
    int row = BIDX;
    int g = (int)plan[(i64)adapters * PLAN + row];
    if (g < 0) {
        return;
    }
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
    int warp = LID / 32;
    int lane = LID % 32;
    /* Warps that share a row of A: a power of two, so that their parts are summed in an order that depends on the rank alone. */
    int sharing = 1;
    while (sharing * 2 * rank <= WARPS) {
        sharing *= 2;
    }
    int teams = WARPS / sharing;
    for (int r0 = 0; r0 < rank; r0 += teams) {
        int r = r0 + warp / sharing;
        float sum = 0.0f;
        if (r < rank) {
            i64 a_at = r * down_row;
            i64 x_at = row * x_row;
#if VECTOR
            UNROLL_BY(8)
            for (int k = (warp % sharing * 32 + lane) * 4; k < inner; k += sharing * 128) {
                real4 u = LD4(x, x_at + k);
                real4 v = LD4_DOWN(down, a_at + k);
                sum += u.x * v.x + u.y * v.y + (u.z * v.z + u.w * v.w);
            }
#else
            for (int k = warp % sharing * 32 + lane; k < inner; k += sharing * 32) {
                sum += LD(x, x_at + k * x_inner) * LD_DOWN(down, a_at + k * down_inner);
            }
#endif
        }
        UNROLL
        for (int apart = 16; apart > 0; apart /= 2) {
            sum += __shfl_xor_sync(0xffffffffu, sum, apart);
        }
        if (lane == 0) {
            part[warp] = sum;
        }
        BARRIER();
        if (LID < teams && r0 + LID < rank) {
            float total = 0.0f;
            for (int w = 0; w < sharing; w++) {
                total += part[LID * sharing + w];
            }
            scores[r0 + LID] = total * SCALE(g);
#if KEEP
            ST(kept, row * kept_row + r0 + LID, total * SCALE(g));
#endif
        }
        BARRIER();
    }
    for (int n = LID; n < columns; n += GROUP) {
        i64 b_at = n * up_row;
        float sum = 0.0f;
#if UP_VECTOR
        UNROLL_BY(4)
        for (int r = 0; r < rank; r += 4) {
            real4 v = LD4_UP(up, b_at + r);
            sum = FMA(scores[r], v.x, FMA(scores[r + 1], v.y, FMA(scores[r + 2], v.z, FMA(scores[r + 3], v.w, sum))));
        }
#else
        for (int r = 0; r < rank; r++) {
            sum = FMA(scores[r], LD_UP(up, b_at + r * up_inner), sum);
        }
#endif
        i64 at = row * y_row + n * y_column;
        ST(y, at, LD(y, at) + sum);
    }
}
