/*
 * Attention over segments on tensor cores, forward, in one launch: out and lse over the keys of one or two segments, and of what
 * earlier launches left.
 *
 * Idea (FlashAttention-2, arXiv 2307.08691): a group has a tile of queries and goes over the keys they see, BN at a time, with the
 * running maximum m, the sum l and the unnormalised result in registers; a warp has rows of its own, so nothing but K and V passes
 * through shared memory in the loop, and P is an operand from the registers it was computed in. Copies run STAGES - 1 tiles ahead,
 * one barrier a tile. Scores stay unscaled; exp2(fold score - m) with fold = scale log2(e) is one multiply-add and one instruction.
 *
 * A tile of keys that all queries of the tile see is not masked: of a causal segment only the diagonal is, of a prefix only the end.
 * Groups with the last queries, which see most, start first.
 *
 * Rows of a tile are queries of unit_heads heads and unit_batch rows of the batch that read the same keys: one head where texts are
 * long; all heads of a key/value head where they are short; the whole batch where few queries each read a shared prefix, which turns
 * many products of a matrix with a vector into one of matrices (Hydragen, arXiv 2402.05099).
 *
 * Few rows (decoding): ROW_WARPS = 1, and KEY_WARPS warps share the keys of each tile, merged at the end. Where even then groups are
 * few, `parts` groups share the keys and write a state (out, lse) each. States are folded into whatever launch comes last, before its
 * own keys: out = sum_i e^(lse_i - lse) out_i.
 *
 * Tiles: D <= 64: 128 rows x 48 keys, 4 warps of 32 rows, so that a fragment of K or V read from shared memory serves two products.
 * D <= 128: 128 x 64, 8 warps of 16 rows, as two would leave an item no registers to spare: for each tile a warp reads 36 KiB of shared
 * memory at D = 128 and adds up 256 K products, 288 clocks of the one and 256 of the other at 128 bytes and 1024 products a clock, the
 * rates of 8.0. D > 128: 64 x 32. Shared memory at D = 128: 32 KiB of queries, 2 stages of 32 KiB.
 *
 * Moves, for R rows and S visible keys: 2 R (D + Dv) bytes and 2 S (D + Dv) for each tile of rows, mostly from the second-level cache;
 * computes 2 R S (D + Dv) floating-point operations and R S exponentials.
 */
#define BM (OWN_ROWS * ROW_WARPS)
#define OWN_KEYS (BN / KEY_WARPS)
#define MERGE_STEP (WIDTH + 4)
#if SEGMENTS > 1
#define OF(name) (second ? name##1 : name##0)
#else
#define OF(name) name##0
#endif
#define BATCH_OF(row) (b0 + (row) / (times * unit_heads))
#define HEAD_OF(row) (h0 + (row) / times % unit_heads)
#define LSE_AT(part, row) ((((i64)(part) * batch + BATCH_OF(row)) * heads + HEAD_OF(row)) * times + (row) % times)

KERNEL {
    DYNAMIC_SHARED(room);
    SHM int time_of[BM];
    u16* queries = (u16*)room;
    u16* stages = queries + BM * WIDTH;
    int row_warp = LID / 32 % ROW_WARPS;
    int key_warp = LID / 32 / ROW_WARPS;
    int lines = heads / unit_heads;
    int rows = unit_batch * unit_heads * times;
    int tiles = (rows + BM - 1) / BM;
    int part = BIDX % parts;
    TILE_AND_UNIT(BIDX / parts, tiles, batch / unit_batch * lines)
    int b0 = unit / lines * unit_batch;
    int h0 = unit % lines * unit_heads;
    int g = h0 / (heads / groups);
    int r0 = (tiles - 1 - tile) * BM;
    int last = least(r0 + BM, rows) - 1;
    int t_first = r0 / times == last / times ? r0 % times : 0;
    int t_last = r0 / times == last / times ? last % times : times - 1;
    for (int r = LID; r < BM; r += GROUP) {
        time_of[r] = (r0 + r) % times;
    }

    for (int i = LID; i < BM * CHUNKS; i += GROUP) {
        int c = i % CHUNKS;
        int row = least(r0 + i / CHUNKS, last);
        bool there = r0 + i / CHUNKS <= last && c * 8 < width;
        const u16* from = query + BATCH_OF(row) * query_b + HEAD_OF(row) * query_h + row % times * query_t;
        cp_async16(queries + PLACE(i / CHUNKS, c), there ? from + c * 8 : query, there ? 16 : 0);
    }

    float m[2 * M_TILES];
    float l[2 * M_TILES];
    float result[RESULTS];
    clear(result, RESULTS);
    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        m[i] = NEG_INF;
        l[i] = 0.0f;
    }
    if (states > 0 && key_warp == 0) {
        UNROLL
        for (int i = 0; i < 2 * M_TILES; i++) {
            int row = least(r0 + row_warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2), last);
            for (int s = 0; s < states; s++) {
                m[i] = fmaxf(m[i], state_lse[LSE_AT(s, row)] * LOG2E);
            }
            for (int s = 0; s < states && m[i] != NEG_INF; s++) {
                i64 at = LSE_AT(s, row);
                float share = exp2_fast(state_lse[at] * LOG2E - m[i]);
                /* Each lane sums its own columns; the first one's sum begins with that of the states. */
                l[i] += LANE % 4 == 0 ? share : 0.0f;
                UNROLL
                for (int n = 0; n < F_TILES; n++) {
                    if (n * 8 < value_width) {
                        two_floats v = *(const two_floats*)(state_out + at * value_width + COL_OF(n, 0));
                        result[(i / 2 * F_TILES + n) * 4 + i % 2 * 2] += share * v.x;
                        result[(i / 2 * F_TILES + n) * 4 + i % 2 * 2 + 1] += share * v.y;
                    }
                }
            }
        }
    }

    int from0 = largest(0, t_first + behind0 + 1);
    int to0 = least(keys0, t_last + ahead0 + 1);
    int tiles0 = (largest(0, to0 - from0) + BN - 1) / BN;
    int all = tiles0;
#if SEGMENTS > 1
    int from1 = largest(0, t_first + behind1 + 1);
    int to1 = least(keys1, t_last + ahead1 + 1);
    all += (largest(0, to1 - from1) + BN - 1) / BN;
#endif
    int each = (all + parts - 1) / parts;
    int j_from = part * each;
    int j_to = least(all, j_from + each);
    for (int j = j_from - STAGES + 1; j < j_to; j++) {
        int next = j + STAGES - 1;
        if (j >= j_from) {
            CP_ASYNC_WAIT(STAGES - 2);
            /* All have this tile, and nobody reads the one any more whose place the next copies take. */
            BARRIER();
        }
        if (next < j_to) {
            bool second = next >= tiles0;
            int k0 = OF(from) + (second ? next - tiles0 : next) * BN;
            u16* stage = stages + (next - j_from) % STAGES * (2 * BN * WIDTH);
            load_rows(stage, BN, OF(key) + b0 * OF(key_b) + g * OF(key_g) + k0 * OF(key_s), OF(key_s), OF(to) - k0, width);
            load_rows(stage + BN * WIDTH, BN, OF(value) + b0 * OF(value_b) + g * OF(value_g) + k0 * OF(value_s), OF(value_s), OF(to) - k0,
                    value_width);
        }
        cp_async_commit();
        if (j < j_from) {
            continue;
        }

        bool second = j >= tiles0;
        int k0 = OF(from) + (second ? j - tiles0 : j) * BN;
        const u16* stage = stages + (j - j_from) % STAGES * (2 * BN * WIDTH) + key_warp * OWN_KEYS * WIDTH;
        float score[SCORES];
        clear(score, SCORES);
        multiply(score, queries + row_warp * OWN_ROWS * WIDTH, stage);
#if CAPPED
        UNROLL
        for (int e = 0; e < SCORES; e++) {
            score[e] = TANH(score[e] * squash);
        }
#endif
        bool whole = k0 > t_last + OF(behind) && k0 + BN <= least(OF(to), t_first + OF(ahead) + 1);
        if (!whole) {
            UNROLL
            for (int i = 0; i < 2 * M_TILES; i++) {
                int t = time_of[row_warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2)];
                int first = k0 + key_warp * OWN_KEYS + COL_OF(0, 0);
                int above = least(OF(to) - 1, t + OF(ahead)) - first;
                int below = t + OF(behind) - first;
                float* s = score + i / 2 * N_TILES * 4 + i % 2 * 2;
                UNROLL
                for (int n = 0; n < N_TILES; n++) {
                    s[n * 4] = n * 8 <= above && n * 8 > below ? s[n * 4] : NEG_INF;
                    s[n * 4 + 1] = n * 8 + 1 <= above && n * 8 + 1 > below ? s[n * 4 + 1] : NEG_INF;
                }
            }
        }
#if MASKED
        if (OF(masked) != 0) {
            int first = k0 + key_warp * OWN_KEYS;
            hide_columns(score, OF(mask) + b0 * OF(mask_b) + first * OF(mask_s), OF(mask_s), OF(to) - first, NEG_INF);
        }
#endif
        float shrink[2 * M_TILES];
        to_weights(score, m, l, shrink, fold);
        rescale(result, shrink);
        accumulate(result, score, stage + BN * WIDTH);
    }

#if KEY_WARPS > 1
    /* Every warp's result beside the others', then each item sums a share of them. */
    float* results = (float*)stages;
    float* tops = results + KEY_WARPS * BM * MERGE_STEP;
    float* sums = tops + KEY_WARPS * BM;
    BARRIER();
    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        int r = key_warp * BM + row_warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2);
        float sum = row_sum(l[i]);
        if (LANE % 4 == 0) {
            tops[r] = m[i];
            sums[r] = sum;
        }
        UNROLL
        for (int n = 0; n < F_TILES; n++) {
            float* v = result + (i / 2 * F_TILES + n) * 4 + i % 2 * 2;
            store_floats(results, r * MERGE_STEP + COL_OF(n, 0), v[0], v[1]);
        }
    }
    BARRIER();
    for (int i = LID; i < BM * WIDTH / 2; i += GROUP) {
        int r = i / (WIDTH / 2);
        int d = i % (WIDTH / 2) * 2;
        if (r0 + r > last || d >= value_width) {
            continue;
        }
        float top = NEG_INF;
        for (int w = 0; w < KEY_WARPS; w++) {
            top = fmaxf(top, tops[w * BM + r]);
        }
        float base = top == NEG_INF ? 0.0f : top;
        float sum = 0.0f;
        float x = 0.0f;
        float y = 0.0f;
        for (int w = 0; w < KEY_WARPS; w++) {
            float share = exp2_fast(tops[w * BM + r] - base);
            sum += share * sums[w * BM + r];
            x += share * results[(w * BM + r) * MERGE_STEP + d];
            y += share * results[(w * BM + r) * MERGE_STEP + d + 1];
        }
        float over = top == NEG_INF ? 0.0f : 1.0f / sum;
        int row = r0 + r;
        STORE_TWO(out, part * out_part + BATCH_OF(row) * out_b + HEAD_OF(row) * out_h + row % times * out_t + d, x * over, y * over);
        if (d == 0) {
            lse[LSE_AT(part, row)] = top == NEG_INF ? NEG_INF : top * LN2 + LOG(sum);
        }
    }
#else
    UNROLL
    for (int i = 0; i < 2 * M_TILES; i++) {
        float sum = row_sum(l[i]);
        int row = r0 + row_warp * OWN_ROWS + ROW_OF(i / 2, i % 2 * 2);
        if (row <= last) {
            float over = m[i] == NEG_INF ? 0.0f : 1.0f / sum;
            i64 at = part * out_part + BATCH_OF(row) * out_b + HEAD_OF(row) * out_h + row % times * out_t;
            UNROLL
            for (int n = 0; n < F_TILES; n++) {
                float* v = result + (i / 2 * F_TILES + n) * 4 + i % 2 * 2;
                if (n * 8 < value_width) {
                    STORE_TWO(out, at + COL_OF(n, 0), v[0] * over, v[1] * over);
                }
            }
            if (LANE % 4 == 0) {
                lse[LSE_AT(part, row)] = m[i] == NEG_INF ? NEG_INF : m[i] * LN2 + LOG(sum);
            }
        }
    }
#endif
}
