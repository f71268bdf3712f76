/*
 * A segment's gradients: dV = P^T dOut and dK = scale dS^T Q, with P and dS as in the kernel of the queries' gradient.
 *
 * A group has a tile of keys and goes over the queries that see any of them: all heads that read this key/value head and, where the
 * segment is shared by the batch, all its rows. So a shared prefix's gradient is summed in registers, in a fixed order, and needs
 * neither memory that grows with the batch nor atomics. A short prefix has too few tiles for a large device; then the queries are
 * shared by `parts` groups that write a sum each, to be added afterwards.
 *
 * Tiles are [key][query]: the transpose of the forward kernel's. dV is finished with P before dS takes its place in shared memory.
 * WANT_KEYS and WANT_VALUES leave out what nobody asked for, and split the work in two launches where both results together do not
 * fit an item's registers.
 *
 * Per group of 64 keys and N queries that see them: N (D + Dv) floats read twice, 128 N (D + Dv) multiply-adds.
 *
 * Registers as nvcc 13.0 reports them, nothing spilled: D = 64: 135 on sm_80, 148 on sm_90a; D = 128: 168 and 186.
 */
INCLUDE attention.h

KERNEL {
    SHM real stage[STAGE_SIZE];
    SHM real weights[ROWS * COL_STEP];
    SHM i64 key_at[ROWS];
    SHM i64 value_at[ROWS];
    SHM i64 query_at[COLS];
    SHM i64 out_at[COLS];
    SHM int time_of[COLS];
#if BIASED
    SHM i64 bias_at[COLS];
#endif
    SHM real logsum[COLS];
    SHM real sub[COLS];
    int heads_each = heads / groups;
    int rows = heads_each * times;
    int tiles = (rows + COLS - 1) / COLS;
    int key_tiles = (keys + ROWS - 1) / ROWS;
    int g = BIDX % groups;
    int k0 = BIDX / groups % key_tiles * ROWS;
    int part = BIDX / groups / key_tiles;
    int k_last = least(k0 + ROWS, keys) - 1;
    /* Tiles of queries: of one row of the batch, or of all. A row of its own is a part of its own. */
    int work = shared != 0 ? tiles * batch : tiles;
    int each = shared != 0 ? (work + parts - 1) / parts : work;
    int w_from = shared != 0 ? least(work, part * each) : 0;
    int w_to = least(work, w_from + each);
    for (int r = LID; r < ROWS; r += GROUP) {
        key_at[r] = k0 + r <= k_last ? g * key_g + (k0 + r) * key_s : -1;
        value_at[r] = g * value_g + (k0 + r) * value_s;
    }

#if WANT_KEYS
    real result_k[OWN_ROWS * OWN_WIDTH];
    CLEAR(result_k, OWN_ROWS * OWN_WIDTH)
#endif
#if WANT_VALUES
    real result_v[OWN_ROWS * OWN_WIDTH];
    CLEAR(result_v, OWN_ROWS * OWN_WIDTH)
#endif
    for (int w = w_from; w < w_to; w++) {
        int b = shared != 0 ? w / tiles : part;
        int r0 = w % tiles * COLS;
        int last = least(r0 + COLS, rows) - 1;
        int t_first = first_time(r0, last, times);
        int t_last = last_time(r0, last, times);
        if (k0 > t_last + ahead || k_last <= t_first + behind) {
            continue;
        }
        bool whole = k_last <= t_first + ahead && k0 > t_last + behind;
        BARRIER();
        for (int r = LID; r < COLS; r += GROUP) {
            int row = least(r0 + r, last);
            int head = g * heads_each + row / times;
            bool there = r0 + r <= last;
            i64 at = ((i64)b * heads + head) * times + row % times;
            real sum = LD(lse, at);
            time_of[r] = row % times;
#if BIASED
            bias_at[r] = b * bias_b + head * bias_h + row % times * bias_t;
#endif
            query_at[r] = there ? b * query_b + head * query_h + row % times * query_t : -1;
            out_at[r] = b * out_b + head * out_h + row % times * out_t;
            /* What is not there and what sees nothing has probability exp(score - infinity) = 0. */
            logsum[r] = !there || sum == NEG_INF ? POS_INF : sum;
            sub[r] = there ? LD(delta, at) : R(0.0);
        }
        real score[OWN_ROWS * OWN_COLS];
        CLEAR(score, OWN_ROWS * OWN_COLS)
        for (int d0 = 0; d0 < width; d0 += CHUNK) {
            BARRIER();
            STAGE_TURNED(stage, ROW_STEP, ROWS, key, key_at[r] >= 0, b * key_b + key_at[r], width)
            STAGE_TURNED(stage + CHUNK * ROW_STEP, COL_STEP, COLS, query, query_at[r] >= 0, query_at[r], width)
            BARRIER();
            products(score, stage);
        }
#if WANT_KEYS
        real up[OWN_ROWS * OWN_COLS];
        CLEAR(up, OWN_ROWS * OWN_COLS)
        for (int d0 = 0; d0 < value_width; d0 += CHUNK) {
            BARRIER();
            STAGE_TURNED(stage, ROW_STEP, ROWS, value, key_at[r] >= 0, b * value_b + value_at[r], value_width)
            STAGE_TURNED(stage + CHUNK * ROW_STEP, COL_STEP, COLS, dout, query_at[r] >= 0, out_at[r], value_width)
            BARRIER();
            products(up, stage);
        }
#endif
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            int k = k0 + FIRST_ROW + i;
            bool visible = k <= k_last;
#if MASKED
            visible = visible && LD(mask, b * mask_b + k * mask_s) != R(0.0);
#endif
            UNROLL
            for (int j = 0; j < OWN_COLS; j++) {
                int t = time_of[FIRST_COL + j];
                real slope;
                real s = capped(score[i * OWN_COLS + j] * scale, cap, &slope);
                bool seen = visible && (whole || SEES(t, k));
#if BIASED
                s += seen ? LD(bias, bias_at[FIRST_COL + j] + k * bias_s) : R(0.0);
#endif
                real p = seen ? EXP(s - logsum[FIRST_COL + j]) : R(0.0);
                score[i * OWN_COLS + j] = p;
#if WANT_KEYS
                up[i * OWN_COLS + j] = p * (up[i * OWN_COLS + j] - sub[FIRST_COL + j]) * slope;
#endif
            }
        }
#if WANT_VALUES
        share(weights, score);
        for (int c0 = 0; c0 < COLS; c0 += DEPTH) {
            BARRIER();
            STAGE_ROWS(stage, dout, query_at[r] >= 0, out_at[r], value_width)
            BARRIER();
            accumulate(result_v, weights, stage, c0);
        }
        BARRIER();
#endif
#if WANT_KEYS
        share(weights, up);
        for (int c0 = 0; c0 < COLS; c0 += DEPTH) {
            BARRIER();
            STAGE_ROWS(stage, query, query_at[r] >= 0, query_at[r], width)
            BARRIER();
            accumulate(result_k, weights, stage, c0);
        }
#endif
    }

    UNROLL
    for (int i = 0; i < OWN_ROWS; i++) {
        int k = k0 + FIRST_ROW + i;
        if (k <= k_last) {
#if WANT_KEYS
            i64 key_to = part * dkey_part + g * dkey_g + k * dkey_s;
            UNROLL
            for (int j = 0; j < OWN_WIDTH; j++) {
                if (FEATURE(j) < width) {
                    ST(dkey, key_to + FEATURE(j), scale * result_k[i * OWN_WIDTH + j]);
                }
            }
#endif
#if WANT_VALUES
            i64 value_to = part * dvalue_part + g * dvalue_g + k * dvalue_s;
            UNROLL
            for (int j = 0; j < OWN_WIDTH; j++) {
                if (FEATURE(j) < value_width) {
                    ST(dvalue, value_to + FEATURE(j), result_v[i * OWN_WIDTH + j]);
                }
            }
#endif
        }
    }
}
