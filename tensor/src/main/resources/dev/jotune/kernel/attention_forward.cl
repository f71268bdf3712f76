/*
 * One segment's part in attention, forward: out, lse become those of all segments so far.
 *
 * Idea (FlashAttention-2, arXiv 2307.08691): a group has a tile of queries and goes over the keys they see, a tile at a time, with the
 * running maximum m, the sum l and the unnormalised result in registers; scores are never stored. Segments are launched one after
 * another: (out, lse) of the earlier ones is a state like any other, m = lse, l = 1, result = out, so nothing else is kept.
 *
 * A tile of keys that all queries of the tile see is not masked; only those on the diagonal and at the end are. Groups with the last
 * queries, which see most, start first. Where queries are few, `parts` groups share the keys and write a pair (out, lse) each.
 *
 * Per group of 64 queries: 64 D floats in, 64 Dv out, and for S visible keys S (D + Dv) read and 64 S (D + Dv) multiply-adds, so 64
 * for every number read; a stage's 32 reads of shared memory serve 256 multiply-adds of an item.
 *
 * Registers as nvcc 13.0 reports them, nothing spilled: D = 64: 112 on sm_80, 126 on sm_90a; D = 128: 128 and 128.
 */
INCLUDE attention.h

KERNEL {
    SHM real stage[STAGE_SIZE];
    SHM real weights[ROWS * COL_STEP];
    SHM i64 query_at[ROWS];
    SHM int time_of[ROWS];
#if BIASED
    SHM i64 bias_at[ROWS];
#endif
    int heads_each = heads / groups;
    int rows = heads_each * times;
    int tiles = (rows + ROWS - 1) / ROWS;
    int id = BIDX;
    int g = id % groups;
    id /= groups;
    int b = id % batch;
    id /= batch;
    int part = id % parts;
    int r0 = (tiles - 1 - id / parts) * ROWS;
    int last = least(r0 + ROWS, rows) - 1;
    int t_first = first_time(r0, last, times);
    int t_last = last_time(r0, last, times);

    for (int r = LID; r < ROWS; r += GROUP) {
        int row = least(r0 + r, last);
        int head = g * heads_each + row / times;
        time_of[r] = row % times;
        query_at[r] = r0 + r > last ? -1 : b * query_b + head * query_h + row % times * query_t;
#if BIASED
        bias_at[r] = b * bias_b + head * bias_h + row % times * bias_t;
#endif
    }
    BARRIER();
    key += b * key_b + g * key_g;
    value += b * value_b + g * value_g;

    real m[OWN_ROWS];
    real l[OWN_ROWS];
    real result[OWN_ROWS * OWN_WIDTH];
    UNROLL
    for (int i = 0; i < OWN_ROWS; i++) {
        int row = r0 + FIRST_ROW + i;
        int head = g * heads_each + row / times;
        bool earlier = first == 0 && row <= last;
        m[i] = earlier ? LD(lse, ((i64)b * heads + head) * times + row % times) : NEG_INF;
        /* Each item sums its own columns; the first one's sum begins with that of the earlier segments. */
        l[i] = X_OF_ITEM == 0 && m[i] != NEG_INF ? R(1.0) : R(0.0);
        UNROLL
        for (int j = 0; j < OWN_WIDTH; j++) {
            result[i * OWN_WIDTH + j] = earlier && FEATURE(j) < value_width
                    ? LD(out, b * out_b + head * out_h + row % times * out_t + FEATURE(j)) : R(0.0);
        }
    }

    int from = largest(0, t_first + behind + 1);
    int to = least(keys, t_last + ahead + 1);
    int each = ((largest(0, to - from) + COLS - 1) / COLS + parts - 1) / parts * COLS;
    from += part * each;
    to = least(to, from + each);
    int whole_from = t_last + behind + 1;
    int whole_to = least(to, t_first + ahead + 1);
    for (int k0 = from; k0 < to; k0 += COLS) {
        real score[OWN_ROWS * OWN_COLS];
        CLEAR(score, OWN_ROWS * OWN_COLS)
        for (int d0 = 0; d0 < width; d0 += CHUNK) {
            BARRIER();
            STAGE_TURNED(stage, ROW_STEP, ROWS, query, query_at[r] >= 0, query_at[r], width)
            STAGE_TURNED(stage + CHUNK * ROW_STEP, COL_STEP, COLS, key, k0 + r < to, (k0 + r) * key_s, width)
            BARRIER();
            products(score, stage);
        }
        bool whole = k0 >= whole_from && k0 + COLS <= whole_to;
        real top[OWN_ROWS];
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            top[i] = NEG_INF;
            UNROLL
            for (int j = 0; j < OWN_COLS; j++) {
                int k = k0 + FIRST_COL + j;
                real slope;
                real s = capped(score[i * OWN_COLS + j] * scale, cap, &slope);
                int t = time_of[FIRST_ROW + i];
                bool seen = whole || (k < to && SEES(t, k));
#if MASKED
                seen = seen && LD(mask, b * mask_b + k * mask_s) != R(0.0);
#endif
#if BIASED
                s += seen ? LD(bias, bias_at[FIRST_ROW + i] + k * bias_s) : R(0.0);
#endif
                s = seen ? s : NEG_INF;
                score[i * OWN_COLS + j] = s;
                top[i] = FMAX(top[i], s);
            }
        }
        BARRIER();
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            stage[(FIRST_ROW + i) * ACROSS + X_OF_ITEM] = top[i];
        }
        BARRIER();
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            real now = m[i];
            for (int x = 0; x < ACROSS; x++) {
                now = FMAX(now, stage[(FIRST_ROW + i) * ACROSS + x]);
            }
            /* While nothing was seen, the maximum is -infinity, and exp(-infinity - 0) is the 0 that is meant. */
            real base = now == NEG_INF ? R(0.0) : now;
            real shrink = EXP(m[i] - base);
            m[i] = now;
            l[i] *= shrink;
            UNROLL
            for (int j = 0; j < OWN_WIDTH; j++) {
                result[i * OWN_WIDTH + j] *= shrink;
            }
            UNROLL
            for (int j = 0; j < OWN_COLS; j++) {
                real p = EXP(score[i * OWN_COLS + j] - base);
                score[i * OWN_COLS + j] = p;
                l[i] += p;
            }
        }
        share(weights, score);
        for (int c0 = 0; c0 < COLS; c0 += DEPTH) {
            BARRIER();
            STAGE_ROWS(stage, value, k0 + r < to, (k0 + r) * value_s, value_width)
            BARRIER();
            accumulate(result, weights, stage, c0);
        }
    }

    BARRIER();
    UNROLL
    for (int i = 0; i < OWN_ROWS; i++) {
        stage[(FIRST_ROW + i) * ACROSS + X_OF_ITEM] = l[i];
    }
    BARRIER();
    UNROLL
    for (int i = 0; i < OWN_ROWS; i++) {
        int row = r0 + FIRST_ROW + i;
        real sum = R(0.0);
        for (int x = 0; x < ACROSS; x++) {
            sum += stage[(FIRST_ROW + i) * ACROSS + x];
        }
        if (row <= last) {
            int head = g * heads_each + row / times;
            i64 at = part * out_part + b * out_b + head * out_h + row % times * out_t;
            UNROLL
            for (int j = 0; j < OWN_WIDTH; j++) {
                if (FEATURE(j) < value_width) {
                    ST(out, at + FEATURE(j), m[i] == NEG_INF ? R(0.0) : result[i * OWN_WIDTH + j] / sum);
                }
            }
            if (X_OF_ITEM == 0) {
                ST(lse, (((i64)part * batch + b) * heads + head) * times + row % times, m[i] == NEG_INF ? NEG_INF : m[i] + LOG(sum));
            }
        }
    }
}
