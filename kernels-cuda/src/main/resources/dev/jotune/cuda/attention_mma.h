/*
 * What the kernels of attention on tensor cores share: tiles in shared memory, and the two products that all of them are made of.
 *
 * A tile is rows of WIDTH 16-bit numbers. Its unit is a chunk of 8, the 16 bytes of an asynchronous copy and of a row of ldmatrix;
 * chunks of a row are exchanged by its number, so that the same chunk of 8 rows in succession lies in 8 different bank groups.
 *
 *     multiply      sum[r][c] += sum_f a[r][f] b[c][f]         both from shared memory as they lie:      Q K^T, dOut V^T
 *     accumulate    sum[r][f] += sum_c weights[r][c] b[c][f]   weights stay in the registers they are    P V, dS K, P^T dOut, dS^T Q
 *                                                              in, as accumulators of a product
 *                                                              are operands of the next
 *                                                              (FlashAttention-2, arXiv 2307.08691)
 *
 * A warp has M_TILES tiles of 16 rows and N_TILES of 8 columns. Registers as PTX has them for m16n8k16: lane l holds of a 16 x 8
 * accumulator the columns l % 4 * 2 and the next, of row l / 4 in numbers 0 and 1, of row l / 4 + 8 in numbers 2 and 3.
 */
#if HALF
#define MMA mma_f16
#define PACK pack_f16
#else
#define MMA mma_bf16
#define PACK pack_bf16
#endif
#define CHUNKS (WIDTH / 8)
#define LANE (LID % 32)
#define TURN(row) (CHUNKS % 8 == 0 ? (row) & 7 : (row) >> 1 & 3)
#define PLACE(row, chunk) (((row) * CHUNKS + ((chunk) ^ TURN(row))) * 8)
/* The same for rows that are the lane's number modulo 8, as all are that ldmatrix is given here. */
#define LANE_PLACE(row, chunk) (((row) * CHUNKS + ((chunk) ^ TURN(LANE))) * 8)
#define OWN_ROWS (16 * M_TILES)
#define F_TILES (WIDTH / 8)
#define SCORES (M_TILES * N_TILES * 4)
#define RESULTS (M_TILES * F_TILES * 4)
/* Where number e of tile (m, n) lies: its row and column in the warp's part. */
#define ROW_OF(m, e) ((m) * 16 + (e) / 2 * 8 + LANE / 4)
#define COL_OF(n, e) ((n) * 8 + LANE % 4 * 2 + (e) % 2)
#define LOG2E R(1.4426950408889634)
#define LN2 R(0.6931471805599453)

FN int least(int a, int b) {
    return a < b ? a : b;
}

FN int largest(int a, int b) {
    return a > b ? a : b;
}

/* Begins copying rows, `step` apart; what is beyond `count` rows or `width` features becomes 0. */
FN void load_rows(u16* to, int rows, const u16* from, i64 step, int count, int width) {
    UNROLL_BY(1)
    for (int i = 0; i < (rows * CHUNKS + GROUP - 1) / GROUP; i++) {
        int at = LID + i * GROUP;
        int r = at / CHUNKS;
        int c = at % CHUNKS;
        bool there = r < count && c * 8 < width;
        if (rows * CHUNKS % GROUP == 0 || at < rows * CHUNKS) {
            cp_async16(to + PLACE(r, c), there ? from + r * step + c * 8 : from, there ? 16 : 0);
        }
    }
}

FN void clear(float* x, int count) {
    UNROLL
    for (int i = 0; i < count; i++) {
        x[i] = 0.0f;
    }
}

/* Both operands are rows as they lie; a is the warp's first row, b the first of 8 N_TILES. */
FN void multiply(float* sum, const u16* a, const u16* b) {
    UNROLL_BY(2)
    for (int k = 0; k < WIDTH / 16; k++) {
        u32 x[M_TILES * 4];
        UNROLL
        for (int m = 0; m < M_TILES; m++) {
            ldmatrix_x4(x + m * 4, a + LANE_PLACE(m * 16 + LANE % 16, k * 2 + LANE / 16));
        }
        UNROLL
        for (int n = 0; n < N_TILES; n += 2) {
            u32 y[4];
            ldmatrix_x4(y, b + LANE_PLACE(n * 8 + LANE / 16 * 8 + LANE % 8, k * 2 + LANE / 8 % 2));
            UNROLL
            for (int m = 0; m < M_TILES; m++) {
                MMA(sum + (m * N_TILES + n) * 4, x + m * 4, y);
                MMA(sum + (m * N_TILES + n + 1) * 4, x + m * 4, y + 2);
            }
        }
    }
}

/* Weights are rounded to 16 bits as they are used; b is the first of 8 N_TILES rows, turned round as it is read. */
FN void accumulate(float* sum, const float* weights, const u16* b) {
    UNROLL
    for (int k = 0; k < N_TILES / 2; k++) {
        u32 x[M_TILES * 4];
        UNROLL
        for (int m = 0; m < M_TILES; m++) {
            const float* w = weights + (m * N_TILES + 2 * k) * 4;
            x[m * 4] = PACK(w[0], w[1]);
            x[m * 4 + 1] = PACK(w[2], w[3]);
            x[m * 4 + 2] = PACK(w[4], w[5]);
            x[m * 4 + 3] = PACK(w[6], w[7]);
        }
        UNROLL
        for (int n = 0; n < F_TILES; n += 2) {
            u32 y[4];
            ldmatrix_x4_trans(y, b + LANE_PLACE(k * 16 + LANE % 16, n + LANE / 16));
            UNROLL
            for (int m = 0; m < M_TILES; m++) {
                MMA(sum + (m * F_TILES + n) * 4, x + m * 4, y);
                MMA(sum + (m * F_TILES + n + 1) * 4, x + m * 4, y + 2);
            }
        }
    }
}

/* What the four lanes of a row have between them. */
FN float row_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
}

FN float row_max(float v) {
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

/* Scores become weights 2^(fold score - m), with m, l brought up to date; shrink is the factor of all that was summed before. */
FN void to_weights(float* score, float* m, float* l, float* shrink, float fold) {
    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        float* s = score + i / 2 * N_TILES * 4 + i % 2 * 2;
        float top = s[0];
        UNROLL
        for (int n = 0; n < N_TILES; n++) {
            top = fmaxf(top, fmaxf(s[n * 4], s[n * 4 + 1]));
        }
        float now = fmaxf(m[i], row_max(top) * fold);
        /* While nothing was seen, the maximum is -infinity, and 2^(-infinity - 0) is the 0 that is meant. */
        float base = now == NEG_INF ? 0.0f : now;
        shrink[i] = exp2_fast(m[i] - base);
        m[i] = now;
        l[i] *= shrink[i];
        UNROLL
        for (int n = 0; n < N_TILES; n++) {
            s[n * 4] = exp2_fast(s[n * 4] * fold - base);
            s[n * 4 + 1] = exp2_fast(s[n * 4 + 1] * fold - base);
            l[i] += s[n * 4] + s[n * 4 + 1];
        }
    }
}

FN void rescale(float* result, const float* shrink) {
    UNROLL
    for (int e = 0; e < RESULTS; e++) {
        result[e] *= shrink[e / 4 / F_TILES * 2 + e % 4 / 2];
    }
}

/* Puts something else in place of the scores of keys that a mask, `step` apart from key to key, hides; of columns, or of rows. */
FN void hide_columns(float* score, const u8* mask, i64 step, int count, float hidden) {
    UNROLL
    for (int e = 0; e < N_TILES * 2; e++) {
        int c = COL_OF(e / 2, e);
        bool seen = c < count && mask[c * step] != 0;
        UNROLL
        for (int i = 0; i < 2 * M_TILES; i++) {
            float* s = score + (i / 2 * N_TILES + e / 2) * 4 + i % 2 * 2 + e % 2;
            *s = seen ? *s : hidden;
        }
    }
}

FN void hide_rows(float* score, const u8* mask, i64 step, int count, float hidden) {
    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        int r = ROW_OF(i / 2, i % 2 * 2);
        bool seen = r < count && mask[r * step] != 0;
        UNROLL
        for (int e = 0; e < N_TILES * 2; e++) {
            float* s = score + (i / 2 * N_TILES + e / 2) * 4 + i % 2 * 2 + e % 2;
            *s = seen ? *s : hidden;
        }
    }
}

struct __align__(8) two_floats {
    float x, y;
};

FN void store_floats(float* p, i64 i, float x, float y) {
    two_floats v = {x, y};
    *(two_floats*)(p + i) = v;
}

FN void store_halves(u16* p, i64 i, float x, float y) {
    *(u32*)(p + i) = PACK(x, y);
}

/* Results are stored as they are summed, or as the operands are. */
#if OUT_HALF
#define STORE_TWO(p, i, x, y) store_halves(p, i, x, y)
#else
#define STORE_TWO(p, i, x, y) store_floats(p, i, x, y)
#endif

/* Visible is what a query at time t may see: t + behind < key <= t + ahead. */
#define SEEN(key, t, ahead, behind) ((key) <= (t) + (ahead) && (key) > (t) + (behind))

/*
 * Which tile a group has. Units (heads with keys of their own) come in sections whose keys and values fit the second-level cache;
 * within a section all first tiles come first, so that the longest begin first and neighbours finish together.
 */
#define TILE_AND_UNIT(id, tiles, units)                                        \
    int section_at = (id) / (section * (tiles)) * section;                     \
    int section_size = least(section, (units) - section_at);                   \
    int in_section = (id) - section_at * (tiles);                              \
    int tile = in_section / section_size;                                      \
    int unit = section_at + in_section % section_size;
