/*
 * The gradient by the queries of attention over one or two segments, on tensor cores: dQ (+)= scale dS K, with
 *
 *     P = exp(score - lse)      dS = P (dOut V^T - delta) score'      delta = rowsum(dOut out) - dLse
 *
 * and score' = 1 - (score / cap)^2 where scores are capped, else 1 (FlashAttention-2, arXiv 2307.08691, section 3.1.2).
 *
 * A group has a tile of BM queries of one head, with their dOut, and goes over the keys they see, BN at a time, as the forward kernel
 * does; P and dS stay in registers. Each query's gradient is written by one group, so nothing is added atomically. lse of a query that
 * sees no key is -infinity; here it becomes +infinity, which makes its probabilities, and so its gradient, 0.
 *
 * A pass of its own costs S and dOut V^T a second time, 7 products instead of 5, and saves adding to dQ in memory from every tile of
 * keys in an order that changes from run to run.
 *
 * Tiles: 128 queries x 32 keys for D <= 128, 32 rows a warp for D <= 64, so that what is read of K and V serves two products; at D = 128
 * 64 KiB of queries and dOut, 2 stages of 16 KiB. D > 128: 64 x 32 and 64 x 16.
 *
 * Moves, for T queries and S visible keys: 2 T (2 D + 2 Dv) bytes and 2 S (D + Dv) for each tile; computes 2 T S (2 D + Dv)
 * floating-point operations.
 */
#define BM (OWN_ROWS * ROW_WARPS)
#if SEGMENTS > 1
#define OF(name) (second ? name##1 : name##0)
#else
#define OF(name) name##0
#endif

KERNEL {
    DYNAMIC_SHARED(room);
    u16* queries = (u16*)room;
    u16* ups = queries + BM * WIDTH;
    u16* stages = ups + BM * WIDTH;
    int warp = LID / 32;
    int tiles = (times + BM - 1) / BM;
    TILE_AND_UNIT(BIDX, tiles, batch * heads)
    int b = unit / heads;
    int h = unit % heads;
    int g = h / (heads / groups);
    int t0 = (tiles - 1 - tile) * BM;
    int t_last = least(t0 + BM, times) - 1;
    load_rows(queries, BM, query + b * query_b + h * query_h + t0 * query_t, query_t, times - t0, width);
    load_rows(ups, BM, dout + b * out_b + h * out_h + t0 * out_t, out_t, times - t0, value_width);

    float logsum[2 * M_TILES];
    float sub[2 * M_TILES];
    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        i64 at = (i64)unit * times + least(t0 + warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2), t_last);
        logsum[i] = lse[at] == NEG_INF ? POS_INF : lse[at] * LOG2E;
        sub[i] = delta[at];
    }
    float result[RESULTS];
    clear(result, RESULTS);

    int from0 = largest(0, t0 + behind0 + 1);
    int to0 = least(keys0, t_last + ahead0 + 1);
    int tiles0 = (largest(0, to0 - from0) + BN - 1) / BN;
    int all = tiles0;
#if SEGMENTS > 1
    int from1 = largest(0, t0 + behind1 + 1);
    int to1 = least(keys1, t_last + ahead1 + 1);
    all += (largest(0, to1 - from1) + BN - 1) / BN;
#endif
    for (int j = 1 - STAGES; j < all; j++) {
        int next = j + STAGES - 1;
        if (j >= 0) {
            CP_ASYNC_WAIT(STAGES - 2);
            BARRIER();
        }
        if (next < all) {
            bool second = next >= tiles0;
            int k0 = OF(from) + (second ? next - tiles0 : next) * BN;
            u16* stage = stages + next % STAGES * (2 * BN * WIDTH);
            load_rows(stage, BN, OF(key) + b * OF(key_b) + g * OF(key_g) + k0 * OF(key_s), OF(key_s), OF(to) - k0, width);
            load_rows(stage + BN * WIDTH, BN, OF(value) + b * OF(value_b) + g * OF(value_g) + k0 * OF(value_s), OF(value_s), OF(to) - k0,
                    value_width);
        }
        cp_async_commit();
        if (j < 0) {
            continue;
        }

        bool second = j >= tiles0;
        int k0 = OF(from) + (second ? j - tiles0 : j) * BN;
        const u16* stage = stages + j % STAGES * (2 * BN * WIDTH);
        float score[SCORES];
        float up[SCORES];
        clear(score, SCORES);
        clear(up, SCORES);
        multiply(score, queries + warp * OWN_ROWS * WIDTH, stage);
        multiply(up, ups + warp * OWN_ROWS * WIDTH, stage + BN * WIDTH);
        bool whole = k0 > t_last + OF(behind) && k0 + BN <= least(OF(to), t0 + OF(ahead) + 1);
        UNROLL
        for (int e = 0; e < SCORES; e++) {
            int i = e / 4 / N_TILES * 2 + e % 4 / 2;
            float s = score[e];
            float slope = 1.0f;
#if CAPPED
            s = TANH(s * squash);
            slope = 1.0f - s * s;
#endif
            float p = exp2_fast(s * fold - logsum[i]);
            score[e] = p * (up[e] - sub[i]) * slope;
        }
        if (!whole) {
            UNROLL
            for (int e = 0; e < SCORES; e++) {
                int k = k0 + COL_OF(e / 4 % N_TILES, e % 4);
                int t = t0 + warp * OWN_ROWS + ROW_OF(e / 4 / N_TILES, e % 4);
                score[e] = k < OF(to) && SEEN(k, t, OF(ahead), OF(behind)) ? score[e] : 0.0f;
            }
        }
#if MASKED
        if (OF(masked) != 0) {
            hide_columns(score, OF(mask) + b * OF(mask_b) + k0 * OF(mask_s), OF(mask_s), OF(to) - k0, 0.0f);
        }
#endif
        accumulate(result, score, stage);
    }

    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        int t = t0 + warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2);
        if (t <= t_last) {
            i64 at = b * dquery_b + h * dquery_h + t * dquery_t;
            UNROLL
            for (int n = 0; n < F_TILES; n++) {
                float* v = result + (i / 2 * F_TILES + n) * 4 + i % 2 * 2;
                if (n * 8 < width) {
                    i64 to = at + COL_OF(n, 0);
                    float x = first != 0 ? 0.0f : LD(dquery, to);
                    float y = first != 0 ? 0.0f : LD(dquery, to + 1);
                    STORE_TWO(dquery, to, x + scale * v[0], y + scale * v[1]);
                }
            }
        }
    }
}
