/*
 * One segment's part in the gradient by the queries: dQ (+)= scale dS K, with
 *
 *     P = exp(score - lse)      dS = P (dOut V^T - delta) score'      delta = rowsum(dOut out) - dLse
 *
 * and score' = 1 - (score / cap)^2 where scores are capped, else 1 (FlashAttention-2, arXiv 2307.08691, section 3.1.2).
 *
 * A group has a tile of queries and goes over the keys they see, as the forward kernel does; the probabilities are computed again
 * from lse. Each query's gradient is written by one group, so nothing is added atomically. lse of a query that sees no key is
 * -infinity; here it becomes +infinity, which makes its probabilities, and so its gradient, 0.
 *
 * Per group of 64 queries and S visible keys: S (2 D + Dv) floats read and 64 S (2 D + Dv) multiply-adds.
 *
 * Registers as nvcc 13.0 reports them, nothing spilled: D = 64: 115 on sm_80, 120 on sm_90a; D = 128: 128 and 128.
 */
INCLUDE attention.h

KERNEL {
    SHM real stage[STAGE_SIZE];
    SHM real weights[ROWS * COL_STEP];
    SHM i64 query_at[ROWS];
    SHM i64 out_at[ROWS];
    SHM int time_of[ROWS];
#if BIASED
    SHM i64 bias_at[ROWS];
#endif
    SHM real logsum[ROWS];
    SHM real sub[ROWS];
    int heads_each = heads / groups;
    int rows = heads_each * times;
    int tiles = (rows + ROWS - 1) / ROWS;
    int g = BIDX % groups;
    int b = BIDX / groups % batch;
    int r0 = (tiles - 1 - BIDX / groups / batch) * ROWS;
    int last = least(r0 + ROWS, rows) - 1;
    int t_first = first_time(r0, last, times);
    int t_last = last_time(r0, last, times);

    for (int r = LID; r < ROWS; r += GROUP) {
        int row = least(r0 + r, last);
        int head = g * heads_each + row / times;
        i64 at = ((i64)b * heads + head) * times + row % times;
        real sum = LD(lse, at);
        logsum[r] = sum == NEG_INF ? POS_INF : sum;
        sub[r] = LD(delta, at);
        time_of[r] = row % times;
#if BIASED
        bias_at[r] = b * bias_b + head * bias_h + row % times * bias_t;
#endif
        query_at[r] = r0 + r > last ? -1 : b * query_b + head * query_h + row % times * query_t;
        out_at[r] = b * out_b + head * out_h + row % times * out_t;
    }
    BARRIER();
    key += b * key_b + g * key_g;
    value += b * value_b + g * value_g;

    real result[OWN_ROWS * OWN_WIDTH];
    CLEAR(result, OWN_ROWS * OWN_WIDTH)

    int from = largest(0, t_first + behind + 1);
    int to = least(keys, t_last + ahead + 1);
    int whole_from = t_last + behind + 1;
    int whole_to = least(to, t_first + ahead + 1);
    for (int k0 = from; k0 < to; k0 += COLS) {
        real score[OWN_ROWS * OWN_COLS];
        real up[OWN_ROWS * OWN_COLS];
        CLEAR(score, OWN_ROWS * OWN_COLS)
        CLEAR(up, OWN_ROWS * OWN_COLS)
        for (int d0 = 0; d0 < width; d0 += CHUNK) {
            BARRIER();
            STAGE_TURNED(stage, ROW_STEP, ROWS, query, query_at[r] >= 0, query_at[r], width)
            STAGE_TURNED(stage + CHUNK * ROW_STEP, COL_STEP, COLS, key, k0 + r < to, (k0 + r) * key_s, width)
            BARRIER();
            products(score, stage);
        }
        for (int d0 = 0; d0 < value_width; d0 += CHUNK) {
            BARRIER();
            STAGE_TURNED(stage, ROW_STEP, ROWS, dout, query_at[r] >= 0, out_at[r], value_width)
            STAGE_TURNED(stage + CHUNK * ROW_STEP, COL_STEP, COLS, value, k0 + r < to, (k0 + r) * value_s, value_width)
            BARRIER();
            products(up, stage);
        }
        bool whole = k0 >= whole_from && k0 + COLS <= whole_to;
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            int t = time_of[FIRST_ROW + i];
            UNROLL
            for (int j = 0; j < OWN_COLS; j++) {
                int k = k0 + FIRST_COL + j;
                real slope;
                real s = capped(score[i * OWN_COLS + j] * scale, cap, &slope);
                bool seen = whole || (k < to && SEES(t, k));
#if MASKED
                seen = seen && LD(mask, b * mask_b + k * mask_s) != R(0.0);
#endif
#if BIASED
                s += seen ? LD(bias, bias_at[FIRST_ROW + i] + k * bias_s) : R(0.0);
#endif
                score[i * OWN_COLS + j] = seen ? EXP(s - logsum[FIRST_ROW + i]) * (up[i * OWN_COLS + j] - sub[FIRST_ROW + i]) * slope : R(0.0);
            }
        }
        share(weights, score);
        for (int c0 = 0; c0 < COLS; c0 += DEPTH) {
            BARRIER();
            STAGE_ROWS(stage, key, k0 + r < to, (k0 + r) * key_s, width)
            BARRIER();
            accumulate(result, weights, stage, c0);
        }
    }

    UNROLL
    for (int i = 0; i < OWN_ROWS; i++) {
        int row = r0 + FIRST_ROW + i;
        if (row <= last) {
            i64 at = b * dquery_b + (g * heads_each + row / times) * dquery_h + row % times * dquery_t;
            UNROLL
            for (int j = 0; j < OWN_WIDTH; j++) {
                if (FEATURE(j) < width) {
                    real earlier = first != 0 ? R(0.0) : LD(dquery, at + FEATURE(j));
                    ST(dquery, at + FEATURE(j), FMA(scale, result[i * OWN_WIDTH + j], earlier));
                }
            }
        }
    }
}
