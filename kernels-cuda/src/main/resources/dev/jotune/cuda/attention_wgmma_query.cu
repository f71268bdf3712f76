/*
 * The gradient by the queries of attention over one or two segments on compute capability 9.0: dQ (+)= scale dS K, with P, dS and delta as in the
 * kernel for warps (FlashAttention-2, arXiv 2307.08691, section 3.1.2), and who does what as in the forward kernel for warp groups
 * (FlashAttention-3, arXiv 2407.08608): four warps fetch, teams have 64 queries each, with their dOut.
 *
 * A tile's scores and its dOut V^T are asked for together; exponentials are taken while the second and the tile's before dS K are
 * computed, and dS K is waited for with the next tile's scores. So a team leaves the tensor cores alone only while it packs dS, and
 * then the other team has them. A key mask comes as in the forward kernel.
 *
 * Each query's gradient is written by one group, so nothing is added atomically; what that costs is said where the kernel for warps is.
 *
 * Tiles: 2 teams x BN keys. An item has D / 2 numbers of the result, BN / 2 scores, as many of dOut V^T, and dS in half of it, of its 240
 * registers: at D = 128 with 64 keys 144, with 128 keys 224, which leaves too few for addresses; at D = 64 with 128 keys 192, and with
 * 64 where masks need a few. Shared memory at D = 128: 64 KiB of queries and dOut, 4 stages of 32 KiB; at D = 64: 32 and 3 x 32.
 *
 * Moves and computes what the kernel for warps does.
 */
#define BM (64 * TEAMS)
#if SEGMENTS > 1
#define OF(name) (second ? name##1 : name##0)
#else
#define OF(name) name##0
#endif

KERNEL {
    DYNAMIC_SHARED(room);
    SHM u64 own_full;
    SHM u64 keys_full[STAGES];
    SHM u64 values_full[STAGES];
    SHM u64 empty[STAGES];
#if MASKED
    SHM u64 seen_full[STAGES];
    SHM u32 seen[STAGES * (BN / 32)];
#endif
    unsigned char* queries = room;
    unsigned char* ups = queries + TEAMS * OWN_BYTES;
    unsigned char* key_ring = ups + TEAMS * OWN_BYTES;
    unsigned char* value_ring = key_ring + STAGES * TILE_BYTES;
    int tiles = (times + BM - 1) / BM;
    TILE_AND_UNIT(BIDX, tiles, batch * heads)
    int b = unit / heads;
    int h = unit % heads;
    int g = h / (heads / groups);
    int t0 = (tiles - 1 - tile) * BM;
    int t_last = least(t0 + BM, times) - 1;
    int from0 = largest(0, t0 + behind0 + 1);
    int to0 = least(keys0, t_last + ahead0 + 1);
    int tiles0 = (largest(0, to0 - from0) + BN - 1) / BN;
    int all = tiles0;
#if SEGMENTS > 1
    int from1 = largest(0, t0 + behind1 + 1);
    int to1 = least(keys1, t_last + ahead1 + 1);
    all += (largest(0, to1 - from1) + BN - 1) / BN;
#endif

    if (LID == 0) {
        mbar_init(&own_full, 1);
        for (int s = 0; s < STAGES; s++) {
            mbar_init(keys_full + s, 1);
            mbar_init(values_full + s, 1);
            mbar_init(empty + s, 4 * TEAMS);
#if MASKED
            mbar_init(seen_full + s, 1);
#endif
        }
        fence_barrier_init();
    }
    BARRIER();

    if (LID < 128) {
        SETMAXNREG_DEC(FETCH_REGISTERS);
        if (LID == 0 && all > 0) {
            mbar_expect_tx(&own_full, 2 * TEAMS * OWN_BYTES);
            UNROLL
            for (int i = 0; i < TEAMS * SLABS; i++) {
                tma_load_4d(queries + i * OWN_SLAB, &query_map, &own_full, i % SLABS * 64, t0 + i / SLABS * 64, h, b);
                tma_load_4d(ups + i * OWN_SLAB, &up_map, &own_full, i % SLABS * 64, t0 + i / SLABS * 64, h, b);
            }
            for (int j = 0; j < all; j++) {
                bool second = j >= tiles0;
                int k0 = OF(from) + (second ? j - tiles0 : j) * BN;
                int own_batch = OF(shared) != 0 ? 0 : b;
                int s = j % STAGES;
                mbar_wait(empty + s, j / STAGES % 2 ^ 1);
                mbar_expect_tx(keys_full + s, TILE_BYTES);
                UNROLL
                for (int i = 0; i < SLABS; i++) {
                    tma_load_4d(key_ring + s * TILE_BYTES + i * SLAB, OF(&key_map), keys_full + s, i * 64, k0, g, own_batch);
                }
                mbar_expect_tx(values_full + s, TILE_BYTES);
                UNROLL
                for (int i = 0; i < SLABS; i++) {
                    tma_load_4d(value_ring + s * TILE_BYTES + i * SLAB, OF(&value_map), values_full + s, i * 64, k0, g, own_batch);
                }
            }
        }
#if MASKED
        if (LID / 32 == 1) {
            for (int j = 0; j < all; j++) {
                bool second = j >= tiles0;
                int k0 = OF(from) + (second ? j - tiles0 : j) * BN;
                int s = j % STAGES;
                mbar_wait(empty + s, j / STAGES % 2 ^ 1);
                fetch_seen(seen + s * (BN / 32), BN / 32, OF(masked), OF(mask) + b * OF(mask_b) + k0, OF(to) - k0);
                if (LANE == 0) {
                    mbar_arrive(seen_full + s);
                }
            }
        }
#endif
    } else {
        SETMAXNREG_INC(TEAM_REGISTERS);
        int team = LID / 128 - 1;
        int t_team = t0 + team * 64;
        int t_own = t_team + LID % 128 / 32 * 16;
        float logsum[2];
        float sub[2];
        UNROLL
        for (int i = 0; i < 2; i++) {
            i64 at = (i64)unit * times + least(t_own + ROW_OF(0, i * 2), t_last);
            logsum[i] = lse[at] == NEG_INF ? POS_INF : lse[at] * LOG2E;
            sub[i] = delta[at];
        }
        float result[RESULTS];
        clear(result, RESULTS);
        if (all > 0) {
            mbar_wait(&own_full, 0);
            for (int j = 0; j < all; j++) {
                bool second = j >= tiles0;
                int k0 = OF(from) + (second ? j - tiles0 : j) * BN;
                int s = j % STAGES;
                u32 parity = j / STAGES % 2;
                float score[SCORES];
                float up[SCORES];
                u32 packed[SCORES / 2];
                mbar_wait(keys_full + s, parity);
                ask_scores(score, queries + team * OWN_BYTES, key_ring + s * TILE_BYTES);
                mbar_wait(values_full + s, parity);
                ask_scores(up, ups + team * OWN_BYTES, value_ring + s * TILE_BYTES);
                /* All but the last: so the dS K of the tile before is done, too. */
                WGMMA_WAIT(1);
                WGMMA_HOLD(score, SCORES)
                if (LANE == 0 && j > 0) {
                    mbar_arrive(empty + (j - 1) % STAGES);
                }
#if CAPPED
                UNROLL
                for (int e = 0; e < SCORES; e++) {
                    score[e] = TANH(score[e] * squash);
                }
#endif
                if (k0 <= t_team + 63 + OF(behind) || k0 + BN > least(OF(to), t_team + OF(ahead) + 1)) {
                    UNROLL
                    for (int e = 0; e < SCORES; e++) {
                        int key = k0 + COL_OF(e / 4, e % 4);
                        int t = t_own + ROW_OF(0, e % 4);
                        score[e] = key < OF(to) && SEEN(key, t, OF(ahead), OF(behind)) ? score[e] : NEG_INF;
                    }
                }
#if MASKED
                if (OF(masked) != 0) {
                    mbar_wait(seen_full + s, parity);
                    hide_unseen(score, seen + s * (BN / 32));
                }
#endif
                UNROLL
                for (int e = 0; e < SCORES; e++) {
                    score[e] = exp2_fast(score[e] * fold - logsum[e % 4 / 2]) * SLOPE(score[e]);
                }
                WGMMA_WAIT(0);
                WGMMA_HOLD(up, SCORES)
                UNROLL
                for (int e = 0; e < SCORES; e++) {
                    score[e] *= up[e] - sub[e % 4 / 2];
                }
                pack_weights(packed, score);
                ask_result(result, packed, key_ring + s * TILE_BYTES);
            }
            WGMMA_WAIT(0);
            WGMMA_HOLD(result, RESULTS)
        }
        UNROLL
        for (int i = 0; i < 2; i++) {
            int t = t_own + ROW_OF(0, i * 2);
            if (t <= t_last) {
                i64 at = b * dquery_b + h * dquery_h + t * dquery_t;
                UNROLL
                for (int n = 0; n < F_TILES; n++) {
                    if (n * 8 < width) {
                        i64 to = at + COL_OF(n, 0);
                        float x = first != 0 ? 0.0f : LD(dquery, to);
                        float y = first != 0 ? 0.0f : LD(dquery, to + 1);
                        STORE_TWO(dquery, to, x + scale * result[n * 4 + i * 2], y + scale * result[n * 4 + i * 2 + 1]);
                    }
                }
            }
        }
    }
}
