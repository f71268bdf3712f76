/*
 * out (+)= a b: each group makes a tile of BM x BN numbers of out, each item TM x TN of these, in registers.
 *
 * The group walks along the inner axis in steps of BK. A step's BM x BK numbers of a and BK x BN numbers of b go through shared
 * memory, laid out with the inner axis first: there items read four neighbours at a time, whatever the operands' strides. While
 * one step is multiplied the next is on its way from memory into registers; two buffers take turns, so a step costs one barrier.
 *
 * An item reads TM + TN numbers of shared memory for TM TN multiply-adds: with 8 x 8 a read of four serves 16 of them, and
 * arithmetic is the bound; 4 x 4 suits products that are too small to fill a device with large tiles. Every number of a is
 * fetched N / BN times and every one of b M / BM times: groups with neighbouring numbers work on tiles that share operands, in
 * bands of BAND rows of tiles, so that most of these fetches meet a cache. 2 M N K operations; at least M K + K N + M N elements.
 *
 * Each element is summed by one item in the order of the inner axis: nothing depends on the schedule.
 *
 * BM BN BK TM TN    sizes of tiles; GROUP = BM / TM * BN / TN
 * VECTOR            1: operands are fetched four numbers at a time, which are neighbours in memory, aligned, and exist together or
 *                   not at all; 0: one at a time, along whatever axis its numbers are nearer, for all other layouts
 * A_INNER, B_INNER  with VECTOR: 1: four lie along the inner axis, 0: across it
 * OUT_F32           1: out can be written four numbers at a time, which out_fours then allows
 * QUANTIZED         1: b is a quantised weight; the text before this one says how its numbers are widened
 */
#define PAD 4
#define A_PITCH ((BM + PAD) / 4)
#define B_PITCH ((BN + PAD) / 4)
#define A_FETCHES (BM * BK / 4 / GROUP)
#define B_FETCHES (BN * BK / 4 / GROUP)
#define ITEMS_DOWN (BM / TM)
#define ITEMS_ACROSS (BN / TN)
#define BAND 8

#if QUANTIZED
#define B_NEAR_INNER 1
#define B_ONE(k, n) WIDEN(n, k)
#define B_FOUR(k, n) WIDEN4(n, k)
#else
#define B_NEAR_INNER (b_inner <= b_column)
#define B_ONE(k, n) LD(b, b_at + (k) * b_inner + (n) * b_column)
#define B_FOUR(k, n) LD4(b, b_at + (k) * b_inner + (n) * b_column)
#endif
#define PUT(place, v) ST(out, place, accumulate ? LD(out, place) + (v) : (v))

/* Adds a number of a times TN numbers of b to a row of the item's sums. */
#define ROW(i, left) \
    UNROLL \
    for (int j = 0; j < TN / 4; j++) { \
        sum[i][j].x = FMA(left, right[j].x, sum[i][j].x); \
        sum[i][j].y = FMA(left, right[j].y, sum[i][j].y); \
        sum[i][j].z = FMA(left, right[j].z, sum[i][j].z); \
        sum[i][j].w = FMA(left, right[j].w, sum[i][j].w); \
    }

KERNEL {
    SHM real4 a_shared[2 * BK * A_PITCH];
    SHM real4 b_shared[2 * BK * B_PITCH];
    int row_tiles = (rows + BM - 1) / BM;
    int column_tiles = (columns + BN - 1) / BN;
    int batch = BIDX / (row_tiles * column_tiles);
    int tile = BIDX % (row_tiles * column_tiles);
    int band = tile / (BAND * column_tiles) * BAND;
    int height = row_tiles - band < BAND ? row_tiles - band : BAND;
    int row0 = (band + (tile - band * column_tiles) % height) * BM;
    int column0 = (tile - band * column_tiles) / height * BN;
    i64 outer = batch / inner_batches;
    i64 within = batch % inner_batches;
    i64 a_at = outer * a_outer + within * a_within;
#if !QUANTIZED
    i64 b_at = outer * b_outer + within * b_within;
#endif
    int down = LID / ITEMS_ACROSS;
    int across = LID % ITEMS_ACROSS;
    real4 zero = REAL4(R(0.0), R(0.0), R(0.0), R(0.0));
    real4 sum[TM][TN / 4];
    UNROLL
    for (int i = 0; i < TM; i++) {
        UNROLL
        for (int j = 0; j < TN / 4; j++) {
            sum[i][j] = zero;
        }
    }
#if VECTOR
    real4 a_next[A_FETCHES];
    real4 b_next[B_FETCHES];
    /* Where the first of the four numbers of each fetch lies in the tile. */
#if A_INNER
#define A_M(i) ((LID + i * GROUP) / (BK / 4))
#define A_K(i) ((LID + i * GROUP) % (BK / 4) * 4)
#else
#define A_M(i) ((LID + i * GROUP) % (BM / 4) * 4)
#define A_K(i) ((LID + i * GROUP) / (BM / 4))
#endif
#if B_INNER
#define B_N(i) ((LID + i * GROUP) / (BK / 4))
#define B_K(i) ((LID + i * GROUP) % (BK / 4) * 4)
#else
#define B_N(i) ((LID + i * GROUP) % (BN / 4) * 4)
#define B_K(i) ((LID + i * GROUP) / (BN / 4))
#endif
#else
    real a_next[4 * A_FETCHES];
    real b_next[4 * B_FETCHES];
    int a_along = a_inner <= a_row;
    int b_along = B_NEAR_INNER;
#define A_M(i) (a_along ? (LID + i * GROUP) / BK : (LID + i * GROUP) % BM)
#define A_K(i) (a_along ? (LID + i * GROUP) % BK : (LID + i * GROUP) / BM)
#define B_N(i) (b_along ? (LID + i * GROUP) / BK : (LID + i * GROUP) % BN)
#define B_K(i) (b_along ? (LID + i * GROUP) % BK : (LID + i * GROUP) / BN)
#endif

    /* Round r fetches step r of the inner axis, multiplies step r - 1, then hands its own over. */
    int turn = 0;
    for (i64 step = 0; step < (i64)inner + BK; step += BK) {
        if (step < inner) {
            int k0 = (int)step;
#if VECTOR
            UNROLL
            for (int i = 0; i < A_FETCHES; i++) {
                int m = row0 + A_M(i);
                int k = k0 + A_K(i);
                a_next[i] = zero;
                if (m < rows && k < inner) {
                    a_next[i] = LD4(a, a_at + m * a_row + k * a_inner);
                }
            }
            UNROLL
            for (int i = 0; i < B_FETCHES; i++) {
                int n = column0 + B_N(i);
                int k = k0 + B_K(i);
                b_next[i] = zero;
                if (n < columns && k < inner) {
                    b_next[i] = B_FOUR(k, n);
                }
            }
#else
            UNROLL
            for (int i = 0; i < 4 * A_FETCHES; i++) {
                int m = row0 + A_M(i);
                int k = k0 + A_K(i);
                a_next[i] = m < rows && k < inner ? LD(a, a_at + m * a_row + k * a_inner) : R(0.0);
            }
            UNROLL
            for (int i = 0; i < 4 * B_FETCHES; i++) {
                int n = column0 + B_N(i);
                int k = k0 + B_K(i);
                b_next[i] = n < columns && k < inner ? B_ONE(k, n) : R(0.0);
            }
#endif
        }
        if (step > 0) {
            SHP const real4* a_from = a_shared + (1 - turn) * BK * A_PITCH;
            SHP const real4* b_from = b_shared + (1 - turn) * BK * B_PITCH;
            for (int k = 0; k < BK; k++) {
                real4 right[TN / 4];
                UNROLL
                for (int j = 0; j < TN / 4; j++) {
                    right[j] = b_from[k * B_PITCH + j * ITEMS_ACROSS + across];
                }
                UNROLL
                for (int i = 0; i < TM / 4; i++) {
                    real4 left = a_from[k * A_PITCH + i * ITEMS_DOWN + down];
                    ROW(4 * i, left.x)
                    ROW(4 * i + 1, left.y)
                    ROW(4 * i + 2, left.z)
                    ROW(4 * i + 3, left.w)
                }
            }
        }
        if (step < inner) {
            SHP real* a_to = (SHP real*)(a_shared + turn * BK * A_PITCH);
            SHP real* b_to = (SHP real*)(b_shared + turn * BK * B_PITCH);
#if VECTOR
            UNROLL
            for (int i = 0; i < A_FETCHES; i++) {
                SHP real* to = a_to + A_K(i) * 4 * A_PITCH + A_M(i);
#if A_INNER
                to[0] = a_next[i].x;
                to[4 * A_PITCH] = a_next[i].y;
                to[8 * A_PITCH] = a_next[i].z;
                to[12 * A_PITCH] = a_next[i].w;
#else
                *(SHP real4*)to = a_next[i];
#endif
            }
            UNROLL
            for (int i = 0; i < B_FETCHES; i++) {
                SHP real* to = b_to + B_K(i) * 4 * B_PITCH + B_N(i);
#if B_INNER
                to[0] = b_next[i].x;
                to[4 * B_PITCH] = b_next[i].y;
                to[8 * B_PITCH] = b_next[i].z;
                to[12 * B_PITCH] = b_next[i].w;
#else
                *(SHP real4*)to = b_next[i];
#endif
            }
#else
            UNROLL
            for (int i = 0; i < 4 * A_FETCHES; i++) {
                a_to[A_K(i) * 4 * A_PITCH + A_M(i)] = a_next[i];
            }
            UNROLL
            for (int i = 0; i < 4 * B_FETCHES; i++) {
                b_to[B_K(i) * 4 * B_PITCH + B_N(i)] = b_next[i];
            }
#endif
        }
        BARRIER();
        turn = 1 - turn;
    }

    i64 out_at = outer * out_outer + within * out_within;
    UNROLL
    for (int i = 0; i < TM; i++) {
        int m = row0 + (i / 4 * ITEMS_DOWN + down) * 4 + i % 4;
        UNROLL
        for (int j = 0; j < TN / 4; j++) {
            int n = column0 + (j * ITEMS_ACROSS + across) * 4;
            i64 place = out_at + m * out_row + n * out_column;
            if (m < rows && n < columns) {
                real4 v = sum[i][j];
#if OUT_F32
                if (out_fours) {
                    if (accumulate) {
                        real4 old = LD4(out, place);
                        v = REAL4(old.x + v.x, old.y + v.y, old.z + v.z, old.w + v.w);
                    }
                    ST4(out, place, v);
                    continue;
                }
#endif
                PUT(place, v.x);
                if (n + 1 < columns) {
                    PUT(place + out_column, v.y);
                }
                if (n + 2 < columns) {
                    PUT(place + 2 * out_column, v.z);
                }
                if (n + 3 < columns) {
                    PUT(place + 3 * out_column, v.w);
                }
            }
        }
    }
}
