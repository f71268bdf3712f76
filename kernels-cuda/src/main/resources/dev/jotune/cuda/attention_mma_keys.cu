/*
 * A segment's gradients on tensor cores: dV = P^T dOut and dK = scale dS^T Q, with P and dS as in the kernel of the queries' gradient.
 *
 * A group has a tile of BM keys with their values, and goes over the queries that see any of them, BN at a time: those of all heads
 * that read this key/value head and, where the segment is shared by the batch, of all its rows. So a shared prefix's gradient is
 * summed in registers, in a fixed order, and needs neither memory that grows with the batch nor atomics. A short prefix has too few
 * tiles for a large device; then its queries are divided among `parts` groups that write a sum each, to be added afterwards.
 *
 * Scores are computed as [key][query], the transpose of the forward kernel's: then P^T and dS^T are in the registers in which the
 * products with dOut and Q want them, and a warp's keys are its own to the end. Queries that no key of the tile is visible to are
 * left out, so of a causal segment only the diagonal and the end are masked. The first keys of a causal segment, which most queries
 * see, start first.
 *
 * WANT_KEYS and WANT_VALUES leave out what nobody asked for, and split the work in two launches where both results together do not
 * fit the registers (D > 128).
 *
 * Tiles: 128 keys x 32 queries, 8 warps of 16 keys, as both results of 32 keys would leave no registers to spare; D > 128: 64 keys.
 * Shared memory at D = 128: 64 KiB of keys and values, 2 stages of 16 KiB of queries and dOut.
 *
 * Moves, for S keys and N queries that see them: 4 S (D + Dv) bytes and 2 N (D + Dv) for each tile; computes 4 N S (D + Dv)
 * floating-point operations.
 */
#define BM (OWN_ROWS * ROW_WARPS)

KERNEL {
    DYNAMIC_SHARED(room);
    SHM float logsums[STAGES * BN];
#if WANT_KEYS
    SHM float subs[STAGES * BN];
#endif
    u16* key_rows = (u16*)room;
    u16* value_rows = key_rows + BM * WIDTH;
    u16* stages = value_rows + BM * WIDTH * WANT_KEYS;
    int warp = LID / 32;
    int tiles = (keys + BM - 1) / BM;
    TILE_AND_UNIT(BIDX, tiles, parts * groups)
    int part = unit / groups;
    int g = unit % groups;
    int k0 = tile * BM;
    int k_last = least(k0 + BM, keys) - 1;
    int heads_each = heads / groups;

    /* Queries at these times see a key of the tile. */
    int t_from = largest(0, k0 - ahead);
    int t_to = least(times, k_last - behind);
    int line = (largest(0, t_to - t_from) + BN - 1) / BN;
    /* A batch row of a segment of its own is a part of its own. */
    int all = line * heads_each * (shared != 0 ? batch : 1);
    int each = shared != 0 ? (all + parts - 1) / parts : all;
    int w_from = shared != 0 ? part * each : 0;
    int w_to = least(all, w_from + each);
    int own_batch = shared != 0 ? 0 : part;

    load_rows(key_rows, BM, key + own_batch * key_b + g * key_g + k0 * key_s, key_s, keys - k0, width);
#if WANT_KEYS
    load_rows(value_rows, BM, value + own_batch * value_b + g * value_g + k0 * value_s, value_s, keys - k0, value_width);
    float result_k[RESULTS];
    clear(result_k, RESULTS);
#endif
#if WANT_VALUES
    float result_v[RESULTS];
    clear(result_v, RESULTS);
#endif
    for (int w = w_from - STAGES + 1; w < w_to; w++) {
        int next = w + STAGES - 1;
        if (w >= w_from) {
            CP_ASYNC_WAIT(STAGES - 2);
            BARRIER();
        }
        if (next < w_to) {
            int b = own_batch + next / line / heads_each;
            int h = g * heads_each + next / line % heads_each;
            int t0 = t_from + next % line * BN;
            int turn = (next - w_from) % STAGES;
            u16* stage = stages + turn * (2 * BN * WIDTH);
            load_rows(stage, BN, query + b * query_b + h * query_h + t0 * query_t, query_t, t_to - t0, width);
            load_rows(stage + BN * WIDTH, BN, dout + b * out_b + h * out_h + t0 * out_t, out_t, t_to - t0, value_width);
            for (int i = LID; i < BN; i += GROUP) {
                bool there = t0 + i < t_to;
                i64 at = ((i64)b * heads + h) * times + t0 + i;
                float sum = there ? lse[at] : NEG_INF;
                /* What is not there and what sees nothing has probability exp(score - infinity) = 0. */
                logsums[turn * BN + i] = sum == NEG_INF ? POS_INF : sum * LOG2E;
#if WANT_KEYS
                subs[turn * BN + i] = there ? delta[at] : 0.0f;
#endif
            }
        }
        cp_async_commit();
        if (w < w_from) {
            continue;
        }

        int turn = (w - w_from) % STAGES;
        int t0 = t_from + w % line * BN;
        const u16* stage = stages + turn * (2 * BN * WIDTH);
        const float* logsum = logsums + turn * BN;
        float score[SCORES];
        clear(score, SCORES);
        multiply(score, key_rows + warp * OWN_ROWS * WIDTH, stage);
#if CAPPED
        float slope[SCORES];
        UNROLL
        for (int e = 0; e < SCORES; e++) {
            score[e] = TANH(score[e] * squash);
            slope[e] = 1.0f - score[e] * score[e];
        }
#endif
        bool whole = k_last <= t0 + ahead && k0 > t0 + BN - 1 + behind;
        UNROLL
        for (int e = 0; e < SCORES; e++) {
            score[e] = exp2_fast(score[e] * fold - logsum[COL_OF(e / 4 % N_TILES, e % 4)]);
        }
        if (!whole) {
            UNROLL
            for (int e = 0; e < SCORES; e++) {
                int k = k0 + warp * OWN_ROWS + ROW_OF(e / 4 / N_TILES, e % 4);
                int t = t0 + COL_OF(e / 4 % N_TILES, e % 4);
                score[e] = SEEN(k, t, ahead, behind) ? score[e] : 0.0f;
            }
        }
#if MASKED
        int b = own_batch + w / line / heads_each;
        int own_first = k0 + warp * OWN_ROWS;
        hide_rows(score, mask + b * mask_b + own_first * mask_s, mask_s, keys - own_first, 0.0f);
#endif
#if WANT_VALUES
        accumulate(result_v, score, stage + BN * WIDTH);
#endif
#if WANT_KEYS
        const float* sub = subs + turn * BN;
        float up[SCORES];
        clear(up, SCORES);
        multiply(up, value_rows + warp * OWN_ROWS * WIDTH, stage + BN * WIDTH);
        UNROLL
        for (int e = 0; e < SCORES; e++) {
            score[e] *= up[e] - sub[COL_OF(e / 4 % N_TILES, e % 4)];
#if CAPPED
            score[e] *= slope[e];
#endif
        }
        accumulate(result_k, score, stage);
#endif
    }

    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        int k = k0 + warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2);
        if (k <= k_last) {
#if WANT_KEYS
            i64 key_to = part * dkey_part + g * dkey_g + k * dkey_s;
#endif
#if WANT_VALUES
            i64 value_to = part * dvalue_part + g * dvalue_g + k * dvalue_s;
#endif
            UNROLL
            for (int n = 0; n < F_TILES; n++) {
                int at = (i / 2 * F_TILES + n) * 4 + i % 2 * 2;
#if WANT_KEYS
                if (n * 8 < width) {
                    STORE_TWO(dkey, key_to + COL_OF(n, 0), scale * result_k[at], scale * result_k[at + 1]);
                }
#endif
#if WANT_VALUES
                if (n * 8 < value_width) {
                    STORE_TWO(dvalue, value_to + COL_OF(n, 0), result_v[at], result_v[at + 1]);
                }
#endif
            }
        }
    }
}
