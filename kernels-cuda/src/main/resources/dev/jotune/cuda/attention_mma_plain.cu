/*
 * Attention over one or two segments on tensor cores as plainly as it goes, forward: the rung between the kernel that every device has and
 * attention_mma.cu, which computes the same with its copies under way meanwhile.
 *
 * A group has BM queries of one head and goes over all keys up to the last that they see, BN at a time (FlashAttention-2, arXiv 2307.08691):
 *
 *     S = Q K^T      m' = max(m, max S)      P = exp(S - m')      l = exp(m - m') l + sum P      O = exp(m - m') O + P V
 *
 * and in the end out = O / l and lse = m + log l. Numbers are read one by one and written to shared memory between two barriers, so
 * nothing is on its way while tensor cores work, and nothing is multiplied while numbers come; several groups on a unit have to hide that.
 * Every tile is masked, whether it needs to be or not. Each of these is what the next rung does away with.
 *
 * Tiles: 64 queries x 32 keys, 4 warps of 16 queries; shared memory 128 rows: 32 KiB at D = 128.
 */
#define BM (OWN_ROWS * ROW_WARPS)

FN void read_rows(u16* to, int rows, const u16* from, i64 step, int count, int width) {
    for (int at = LID; at < rows * WIDTH; at += GROUP) {
        int r = at / WIDTH;
        int f = at % WIDTH;
        to[PLACE(r, f / 8) + f % 8] = r < count && f < width ? from[r * step + f] : (u16)0;
    }
}

/* The scores of one tile of keys of a segment, those that are not seen -infinity, then what they add to the result. */
#define SEGMENT(i) \
    for (int k0 = 0; k0 < least(keys##i, t_last + ahead##i + 1); k0 += BN) { \
        BARRIER(); \
        read_rows(key_rows, BN, key##i + b * key_b##i + g * key_g##i + k0 * key_s##i, key_s##i, keys##i - k0, width); \
        read_rows(value_rows, BN, value##i + b * value_b##i + g * value_g##i + k0 * value_s##i, value_s##i, keys##i - k0, value_width); \
        BARRIER(); \
        clear(score, SCORES); \
        multiply(score, queries + warp * OWN_ROWS * WIDTH, key_rows); \
        UNROLL \
        for (int e = 0; e < SCORES; e++) { \
            int k = k0 + COL_OF(e / 4, e % 4); \
            int t = t_own + ROW_OF(0, e % 4); \
            float s = CAP(score[e]); \
            score[e] = k < keys##i && SEEN(k, t, ahead##i, behind##i) && SHOWN(i, k) ? s : NEG_INF; \
        } \
        to_weights(score, m, l, shrink, fold); \
        rescale(result, shrink); \
        accumulate(result, score, value_rows); \
    }
#if CAPPED
#define CAP(score) TANH((score) * squash)
#else
#define CAP(score) (score)
#endif
#if MASKED
#define SHOWN(i, k) (masked##i == 0 || mask##i[b * mask_b##i + (k) * mask_s##i] != 0)
#else
#define SHOWN(i, k) true
#endif

KERNEL {
    DYNAMIC_SHARED(room);
    u16* queries = (u16*)room;
    u16* key_rows = queries + BM * WIDTH;
    u16* value_rows = key_rows + BN * WIDTH;
    int tiles = (times + BM - 1) / BM;
    int unit = BIDX / tiles;
    int b = unit / heads;
    int h = unit % heads;
    int g = h / (heads / groups);
    int t0 = BIDX % tiles * BM;
    int t_last = least(t0 + BM, times) - 1;
    int warp = LID / 32;
    int t_own = t0 + warp * OWN_ROWS;
    float m[2] = {NEG_INF, NEG_INF};
    float l[2] = {0.0f, 0.0f};
    float shrink[2];
    float score[SCORES];
    float result[RESULTS];
    clear(result, RESULTS);
    read_rows(queries, BM, query + b * query_b + h * query_h + t0 * query_t, query_t, times - t0, width);
    SEGMENT(0)
#if SEGMENTS > 1
    SEGMENT(1)
#endif
    UNROLL
    for (int i = 0; i < 2; i++) {
        float sum = row_sum(l[i]);
        int t = t_own + ROW_OF(0, i * 2);
        if (t <= t_last) {
            float over = m[i] == NEG_INF ? 0.0f : 1.0f / sum;
            i64 at = b * out_b + h * out_h + t * out_t;
            UNROLL
            for (int n = 0; n < F_TILES; n++) {
                if (n * 8 < value_width) {
                    STORE_TWO(out, at + COL_OF(n, 0), result[n * 4 + i * 2] * over, result[n * 4 + i * 2 + 1] * over);
                }
            }
            if (LANE % 4 == 0) {
                lse[(i64)unit * times + t] = m[i] == NEG_INF ? NEG_INF : m[i] * LN2 + LOG(sum);
            }
        }
    }
}
