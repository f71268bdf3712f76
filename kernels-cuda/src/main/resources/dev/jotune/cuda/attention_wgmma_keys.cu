/*
 * A segment's gradients on compute capability 9.0: dV = P^T dOut and dK = scale dS^T Q, with P and dS as in the kernel of the queries'
 * gradient. What a group has and goes over is what it is in the kernel for warps, and so is why: a shared segment's gradient is summed
 * over the batch in registers, in a fixed order, and `parts` groups divide its queries where its tiles are too few for the device.
 *
 * Who does what (FlashAttention-3, arXiv 2407.08608): of four warps one fetches boxes of queries and dOut by TMA, another the queries'
 * log-sum-exps and deltas, a third masks; teams have 64 keys each, with their values. Scores are computed as [key][query], so that P^T
 * and dS^T are in the registers in which the products with dOut and Q want them.
 *
 * A tile's scores and its dOut V^T are asked for together; exponentials are taken while the second is computed, dS while P^T dOut is,
 * and dS^T Q is waited for with the next tile's scores. A team whose keys are all beyond the segment leaves at once.
 *
 * Tiles: 2 teams x 64 queries. An item has D numbers of both results, 32 scores, as many of V dOut^T, and 16 registers of P or dS: at
 * D = 128 208 of its 240. At D = 64 with 128 queries it would be 224, and products one after the other for want of registers. Shared memory
 * at D = 128: 64 KiB of keys and values, 4 stages of 32 KiB.
 *
 * Moves and computes what the kernel for warps does.
 */
#define BM (64 * TEAMS)
#define FETCHERS 32

/* What a group has to do: found by one item and kept in shared memory, since a fetching item has 24 registers. */
#define PLAN_KEY plan[0]
#define PLAN_PART plan[1]
#define PLAN_GROUP plan[2]
#define PLAN_HEADS plan[3]
#define PLAN_FROM plan[4]
#define PLAN_TO plan[5]
#define PLAN_LINE plan[6]
#define PLAN_FIRST plan[7]
#define PLAN_COUNT plan[8]
#define OWN_BATCH (shared != 0 ? 0 : PLAN_PART)

/* The tile of queries that is the w-th of this group: row of the batch, head, first query. */
#define TILE_OF_QUERIES(w) \
    int b = OWN_BATCH + (w) / PLAN_LINE / PLAN_HEADS; \
    int h = PLAN_GROUP * PLAN_HEADS + (w) / PLAN_LINE % PLAN_HEADS; \
    int t0 = PLAN_FROM + (w) % PLAN_LINE * BN;

KERNEL {
    DYNAMIC_SHARED(room);
    SHM float logsums[STAGES * BN];
    SHM float subs[STAGES * BN];
    SHM int first_times[STAGES];
    SHM int plan[9];
#if MASKED
    SHM u32 seen[STAGES * (BM / 32)];
#endif
    SHM u64 own_full;
    SHM u64 queries_full[STAGES];
    SHM u64 ups_full[STAGES];
    SHM u64 sums_full[STAGES];
    SHM u64 empty[STAGES];
    unsigned char* key_rows = room;
    unsigned char* value_rows = key_rows + TEAMS * OWN_BYTES;
    unsigned char* query_ring = value_rows + TEAMS * OWN_BYTES;
    unsigned char* up_ring = query_ring + STAGES * TILE_BYTES;
    if (LID == 0) {
        int tiles = (keys + BM - 1) / BM;
        TILE_AND_UNIT(BIDX, tiles, parts * groups)
        int part = unit / groups;
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
        PLAN_KEY = k0;
        PLAN_PART = part;
        PLAN_GROUP = unit % groups;
        PLAN_HEADS = heads_each;
        PLAN_FROM = t_from;
        PLAN_TO = t_to;
        PLAN_LINE = line;
        PLAN_FIRST = w_from;
        PLAN_COUNT = largest(0, least(all, w_from + each) - w_from);
        int teams = (k_last - k0) / 64 + 1;
        mbar_init(&own_full, 1);
        for (int s = 0; s < STAGES; s++) {
            mbar_init(queries_full + s, 1);
            mbar_init(ups_full + s, 1);
            mbar_init(sums_full + s, FETCHERS * (1 + MASKED));
            mbar_init(empty + s, 4 * teams);
        }
        fence_barrier_init();
    }
    BARRIER();
    int count = PLAN_COUNT;

    if (LID < 128) {
        SETMAXNREG_DEC(FETCH_REGISTERS);
        if (LID == 0 && count > 0) {
            mbar_expect_tx(&own_full, 2 * TEAMS * OWN_BYTES);
            UNROLL
            for (int i = 0; i < TEAMS * SLABS; i++) {
                tma_load_4d(key_rows + i * OWN_SLAB, &key_map, &own_full, i % SLABS * 64, PLAN_KEY + i / SLABS * 64, PLAN_GROUP, OWN_BATCH);
                tma_load_4d(value_rows + i * OWN_SLAB, &value_map, &own_full, i % SLABS * 64, PLAN_KEY + i / SLABS * 64, PLAN_GROUP, OWN_BATCH);
            }
            for (int j = 0; j < count; j++) {
                TILE_OF_QUERIES(PLAN_FIRST + j)
                int s = j % STAGES;
                /* A place that was never filled counts as emptied: the phase before the first has parity 1. */
                mbar_wait(empty + s, j / STAGES % 2 ^ 1);
                mbar_expect_tx(queries_full + s, TILE_BYTES);
                UNROLL
                for (int i = 0; i < SLABS; i++) {
                    tma_load_4d(query_ring + s * TILE_BYTES + i * SLAB, &query_map, queries_full + s, i * 64, t0, h, b);
                }
                mbar_expect_tx(ups_full + s, TILE_BYTES);
                UNROLL
                for (int i = 0; i < SLABS; i++) {
                    tma_load_4d(up_ring + s * TILE_BYTES + i * SLAB, &up_map, ups_full + s, i * 64, t0, h, b);
                }
            }
        } else if (LID / 32 == 1) {
            for (int j = 0; j < count; j++) {
                TILE_OF_QUERIES(PLAN_FIRST + j)
                int s = j % STAGES;
                mbar_wait(empty + s, j / STAGES % 2 ^ 1);
                UNROLL
                for (int i = LANE; i < BN; i += FETCHERS) {
                    bool there = t0 + i < PLAN_TO;
                    i64 at = ((i64)b * heads + h) * times + t0 + i;
                    float sum = there ? lse[at] : NEG_INF;
                    /* What is not there and what sees nothing has probability exp(score - infinity) = 0. */
                    logsums[s * BN + i] = sum == NEG_INF ? POS_INF : sum * LOG2E;
                    subs[s * BN + i] = there ? delta[at] : 0.0f;
                }
                first_times[s] = t0;
                mbar_arrive(sums_full + s);
            }
        }
#if MASKED
        if (LID / 32 == 2) {
            for (int j = 0; j < count; j++) {
                int b = OWN_BATCH + (PLAN_FIRST + j) / PLAN_LINE / PLAN_HEADS;
                int s = j % STAGES;
                mbar_wait(empty + s, j / STAGES % 2 ^ 1);
                fetch_seen(seen + s * (BM / 32), BM / 32, 1, mask + b * mask_b + PLAN_KEY, keys - PLAN_KEY);
                mbar_arrive(sums_full + s);
            }
        }
#endif
    } else {
        SETMAXNREG_INC(TEAM_REGISTERS);
        int team = LID / 128 - 1;
        int k_team = PLAN_KEY + team * 64;
        int k_last = least(k_team + 64, keys) - 1;
        int k_own = k_team + LID % 128 / 32 * 16;
        if (k_team < keys) {
            float result_k[RESULTS];
            float result_v[RESULTS];
            clear(result_k, RESULTS);
            clear(result_v, RESULTS);
            if (count > 0) {
                mbar_wait(&own_full, 0);
                int s = 0;
                u32 parity = 0;
                for (int j = 0; j < count; j++) {
                    const float* logsum = logsums + s * BN;
                    const float* sub = subs + s * BN;
                    float score[SCORES];
                    float up[SCORES];
                    u32 packed[SCORES / 2];
                    u32 down[SCORES / 2];
                    mbar_wait(queries_full + s, parity);
                    ask_scores(score, key_rows + team * OWN_BYTES, query_ring + s * TILE_BYTES);
                    mbar_wait(ups_full + s, parity);
                    ask_scores(up, value_rows + team * OWN_BYTES, up_ring + s * TILE_BYTES);
                    mbar_wait(sums_full + s, parity);
                    /* All but the last: so both results of the tile before are done, too. */
                    WGMMA_WAIT(1);
                    WGMMA_HOLD(score, SCORES)
                    if (LANE == 0 && j > 0) {
                        mbar_arrive(empty + (s > 0 ? s : STAGES) - 1);
                    }
                    int t0 = first_times[s];
#if CAPPED
                    UNROLL
                    for (int e = 0; e < SCORES; e++) {
                        score[e] = TANH(score[e] * squash);
                    }
#endif
                    if (k_last > t0 + ahead || k_team <= t0 + BN - 1 + behind) {
                        UNROLL
                        for (int e = 0; e < SCORES; e++) {
                            int k = k_own + ROW_OF(0, e % 4);
                            int t = t0 + COL_OF(e / 4, e % 4);
                            score[e] = SEEN(k, t, ahead, behind) ? score[e] : NEG_INF;
                        }
                    }
#if MASKED
                    u32 own_seen = seen[s * (BM / 32) + (k_own - PLAN_KEY) / 32] >> (k_own % 32 + LANE / 4);
                    UNROLL
                    for (int e = 0; e < SCORES; e++) {
                        score[e] = (own_seen >> e % 4 / 2 * 8 & 1) != 0 ? score[e] : NEG_INF;
                    }
#endif
                    UNROLL
                    for (int e = 0; e < SCORES; e += 2) {
                        float x = exp2_fast(score[e] * fold - logsum[COL_OF(e / 4, 0)]);
                        float y = exp2_fast(score[e + 1] * fold - logsum[COL_OF(e / 4, 1)]);
                        packed[e / 2] = PACK(x, y);
                        score[e] = x * SLOPE(score[e]);
                        score[e + 1] = y * SLOPE(score[e + 1]);
                    }
                    ask_result(result_v, packed, up_ring + s * TILE_BYTES);
                    WGMMA_WAIT(1);
                    WGMMA_HOLD(up, SCORES)
                    UNROLL
                    for (int e = 0; e < SCORES; e++) {
                        score[e] *= up[e] - sub[COL_OF(e / 4, e % 4)];
                    }
                    pack_weights(down, score);
                    ask_result(result_k, down, query_ring + s * TILE_BYTES);
                    /* P^T dOut is done, and the next tile's scores have its weights' registers. */
                    WGMMA_WAIT(1);
                    s++;
                    if (s == STAGES) {
                        s = 0;
                        parity ^= 1;
                    }
                }
                WGMMA_WAIT(0);
                WGMMA_HOLD(result_k, RESULTS)
                WGMMA_HOLD(result_v, RESULTS)
            }
            UNROLL
            for (int i = 0; i < 2; i++) {
                int k = k_own + ROW_OF(0, i * 2);
                if (k <= k_last) {
                    i64 key_to = PLAN_PART * dkey_part + PLAN_GROUP * dkey_g + k * dkey_s;
                    i64 value_to = PLAN_PART * dvalue_part + PLAN_GROUP * dvalue_g + k * dvalue_s;
                    UNROLL
                    for (int n = 0; n < F_TILES; n++) {
                        int at = n * 4 + i * 2;
                        if (n * 8 < width) {
                            STORE_TWO(dkey, key_to + COL_OF(n, 0), scale * result_k[at], scale * result_k[at + 1]);
                        }
                        if (n * 8 < value_width) {
                            STORE_TWO(dvalue, value_to + COL_OF(n, 0), result_v[at], result_v[at + 1]);
                        }
                    }
                }
            }
        }
    }
}
