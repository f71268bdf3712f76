/*
 * Of logits z = a b^T: each row's log sum e^z, and the logit of its label. The logits themselves never reach device memory.
 *
 * A group makes BM x BN logits at a time in registers, as tile.h says, and then goes on to the next BN columns of its part of the
 * vocabulary. Of each row it keeps the largest logit m so far and the sum of e^(z - m) (Milakov and Gimelshein, arXiv 1805.02867):
 * every item for its own columns, so that between tiles nobody waits for that; a row's items meet in shared memory at the end.
 *
 * Of `splits` parts of the vocabulary every group has one, as many as keep a device busy, and leaves its log-sum-exp in
 * parts[row, split]; a program over rows joins them in their order. Neighbouring groups have different rows and the same part, so
 * that they meet the same numbers of b in a cache.
 *
 * 2 M V C operations and M V exponentials; at least M C + V C elements and 4 M splits bytes. Every number of b is fetched M / BM
 * times and every one of a V / BN times, as in gemm.cl; storing the logits would add 4 M V bytes written and 8 M V read.
 *
 * Registers as nvcc 13.0 reports them with a weight in BF16, nothing spilled: 188 on sm_80 and 194 on sm_90a in tiles of 128 x 128, 64 and
 * 64 of 64 x 64, 113 and 96 of 32 x 32.
 *
 * CAPPED   1: logits pass through softcap tanh(z / softcap)
 */
INCLUDE tile.h
#if CAPPED
#define CAP(z) (softcap * TANH((z) / softcap))
#else
#define CAP(z) (z)
#endif

/* A row's logit of column n, which the item made: capped, kept if it is the label's, -infinity behind the end. */
#define LOGIT(z, n) \
    z = (n) < columns ? CAP(z) : NEG_INF; \
    now = FMAX(now, z); \
    if ((n) == label) { \
        ST(target, m, z); \
    }

KERNEL {
    SHM real4 a_shared[2 * BK * A_PITCH];
    SHM real4 b_shared[2 * BK * B_PITCH];
    int row_tiles = (rows + BM - 1) / BM;
    i64 column_tiles = (columns + BN - 1) / BN;
    int row0 = BIDX % row_tiles * BM;
    int split = BIDX / row_tiles;
    int first = (int)(split * column_tiles / splits) * BN;
    int end = (int)((split + 1) * column_tiles / splits) * BN;
    const i64 a_at = 0;
    const i64 b_at = 0;
    real largest[TM];
    real total[TM];
    UNROLL
    for (int i = 0; i < TM; i++) {
        largest[i] = NEG_INF;
        total[i] = R(0.0);
    }
    for (int column0 = first; column0 < end; column0 += BN) {
INCLUDE tile_product.h
        UNROLL
        for (int i = 0; i < TM; i++) {
            int m = row0 + TILE_ROW(i);
            i64 label = m < rows ? labels[m] : -1;
            real now = largest[i];
            UNROLL
            for (int j = 0; j < TN / 4; j++) {
                int n = column0 + TILE_COLUMN(j);
                LOGIT(sum[i][j].x, n)
                LOGIT(sum[i][j].y, n + 1)
                LOGIT(sum[i][j].z, n + 2)
                LOGIT(sum[i][j].w, n + 3)
            }
            /* While there was no logit above -infinity, exp(-infinity - 0) is the 0 that is meant. */
            real base = now == NEG_INF ? R(0.0) : now;
            real part = total[i] * EXP(largest[i] - base);
            UNROLL
            for (int j = 0; j < TN / 4; j++) {
                part += EXP(sum[i][j].x - base) + EXP(sum[i][j].y - base) + (EXP(sum[i][j].z - base) + EXP(sum[i][j].w - base));
            }
            largest[i] = now;
            total[i] = part;
        }
    }

    /* Room for a number of each item and row, as BM / TN and BN / TN are at most 2 BK. */
    SHP real* all_largest = (SHP real*)a_shared;
    SHP real* all_totals = (SHP real*)b_shared;
    UNROLL
    for (int i = 0; i < TM; i++) {
        all_largest[TILE_ROW(i) * ITEMS_ACROSS + ACROSS] = largest[i];
        all_totals[TILE_ROW(i) * ITEMS_ACROSS + ACROSS] = total[i];
    }
    BARRIER();
    for (int r = LID; r < BM && row0 + r < rows; r += GROUP) {
        real now = NEG_INF;
        for (int x = 0; x < ITEMS_ACROSS; x++) {
            now = FMAX(now, all_largest[r * ITEMS_ACROSS + x]);
        }
        real base = now == NEG_INF ? R(0.0) : now;
        real sum = R(0.0);
        for (int x = 0; x < ITEMS_ACROSS; x++) {
            sum += all_totals[r * ITEMS_ACROSS + x] * EXP(all_largest[r * ITEMS_ACROSS + x] - base);
        }
        ST(parts, (i64)(row0 + r) * splits + split, base + LOG(sum));
    }
}
