/*
 * Attention over one or two segments on compute capability 9.0, forward: out and lse. The same tiles and the same order as the kernel
 * for warps (FlashAttention-2, arXiv 2307.08691); what is new is who does what (FlashAttention-3, arXiv 2407.08608):
 *
 * - Four warps fetch, by one item: boxes of Q, K and V come by TMA into a ring of STAGES tiles of keys and one of values, and leave
 *   their registers to the others.
 * - TEAMS warp groups have 64 queries each. Q K^T reads both operands from shared memory, P V has P in the registers in which it was
 *   computed, and V as it lies, rows of keys.
 * - The next tile's scores are asked for before this tile's P V, and the maximum and the exponentials of the one are taken while the
 *   other is computed: tensor cores have work while the units for exponentials, 16 a clock against 2048 multiply-adds, are busy.
 * - Teams take turns to ask, so that one's exponentials fall into the other's products.
 *
 * Tiles: D = 128: 2 teams x 128 keys; an item has 64 scores, 64 numbers of the result and 32 registers of P of its 240. D = 64: 3 teams,
 * 32 numbers of the result, 160 registers. D = 256: 2 teams x 64 keys, 32 scores, 128 numbers of the result and 16 registers of P of 240.
 * Shared memory at D = 128: 32 KiB of queries, 2 stages of 64 KiB; D = 64: 24 and 2 x 32; D = 256: 64 and 2 x 64.
 *
 * A key mask comes as a bit a key, 32 a word, by another of the warps that fetch: what a team reads of it stays in few registers.
 *
 * Heads of up to WIDTH features: what a box has beyond the tensor is 0. Moves and computes what the kernel for warps does.
 */
#define BM (64 * TEAMS)
#if SEGMENTS > 1
#define OF(name) (second ? name##1 : name##0)
#else
#define OF(name) name##0
#endif

/* What becomes of a tile's scores once they are there. The team's own queries decide whether it is masked: on the diagonal only few are. */
#define TAKE_SCORES(tile) \
    { \
        bool second = (tile) >= tiles0; \
        int k0 = OF(from) + (second ? (tile) - tiles0 : (tile)) * BN; \
        cap_and_mask(score, squash, k0, OF(to), t_own, OF(ahead), OF(behind), \
                k0 > t_team + 63 + OF(behind) && k0 + BN <= least(OF(to), t_team + OF(ahead) + 1)); \
        HIDE_UNSEEN(tile) \
        to_weights(score, m, l, shrink, fold); \
    }
#if MASKED
#define HIDE_UNSEEN(tile) \
    if (OF(masked) != 0) { \
        mbar_wait(seen_full + (tile) % STAGES, (tile) / STAGES % 2); \
        hide_unseen(score, seen + (tile) % STAGES * (BN / 32)); \
    }
#else
#define HIDE_UNSEEN(tile)
#endif

FN void cap_and_mask(float* score, float squash, int k0, int to, int t_own, int ahead, int behind, bool whole) {
#if CAPPED
    UNROLL
    for (int e = 0; e < SCORES; e++) {
        score[e] = TANH(score[e] * squash);
    }
#endif
    if (!whole) {
        UNROLL
        for (int e = 0; e < SCORES; e++) {
            int key = k0 + COL_OF(e / 4, e % 4);
            int t = t_own + ROW_OF(0, e % 4);
            score[e] = key < to && SEEN(key, t, ahead, behind) ? score[e] : NEG_INF;
        }
    }
}

/* A team waits for its turn, and gives the turn to the next. */
#define TURN_BEGINS BAR_SYNC(1 + team, 256);
#define TURN_ENDS BAR_ARRIVE(1 + (team + 1) % TEAMS, 256);

KERNEL {
    DYNAMIC_SHARED(room);
    SHM u64 query_full;
    SHM u64 keys_full[STAGES];
    SHM u64 values_full[STAGES];
    SHM u64 keys_empty[STAGES];
    SHM u64 values_empty[STAGES];
#if MASKED
    SHM u64 seen_full[STAGES];
    SHM u32 seen[STAGES * (BN / 32)];
#endif
    unsigned char* queries = room;
    unsigned char* key_ring = room + TEAMS * OWN_BYTES;
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
        mbar_init(&query_full, 1);
        for (int s = 0; s < STAGES; s++) {
            mbar_init(keys_full + s, 1);
            mbar_init(values_full + s, 1);
            mbar_init(keys_empty + s, 4 * TEAMS);
            mbar_init(values_empty + s, 4 * TEAMS);
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
            mbar_expect_tx(&query_full, TEAMS * OWN_BYTES);
            UNROLL
            for (int i = 0; i < TEAMS * SLABS; i++) {
                tma_load_4d(queries + i * OWN_SLAB, &query_map, &query_full, i % SLABS * 64, t0 + i / SLABS * 64, h, b);
            }
            for (int j = 0; j < all; j++) {
                bool second = j >= tiles0;
                int k0 = OF(from) + (second ? j - tiles0 : j) * BN;
                int own_batch = OF(shared) != 0 ? 0 : b;
                int s = j % STAGES;
                /* A place that was never filled counts as emptied: the phase before the first has parity 1. */
                u32 parity = j / STAGES % 2 ^ 1;
                mbar_wait(keys_empty + s, parity);
                mbar_expect_tx(keys_full + s, TILE_BYTES);
                UNROLL
                for (int i = 0; i < SLABS; i++) {
                    tma_load_4d(key_ring + s * TILE_BYTES + i * SLAB, OF(&key_map), keys_full + s, i * 64, k0, g, own_batch);
                }
                mbar_wait(values_empty + s, parity);
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
                /* Whoever is done with a tile's values has read its mask. */
                mbar_wait(values_empty + s, j / STAGES % 2 ^ 1);
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
        const unsigned char* own_queries = queries + team * OWN_BYTES;
        float m[2] = {NEG_INF, NEG_INF};
        float l[2] = {0.0f, 0.0f};
        float shrink[2];
        float score[SCORES];
        u32 packed[SCORES / 2];
        float result[RESULTS];
        clear(result, RESULTS);
        clear(score, SCORES);
        if (all > 0) {
            if (team == TEAMS - 1) {
                /* The first team begins. */
                BAR_ARRIVE(1, 256);
            }
            mbar_wait(&query_full, 0);
            mbar_wait(keys_full, 0);
            TURN_BEGINS
            ask_scores(score, own_queries, key_ring);
            if (all > 1 || team < TEAMS - 1) {
                TURN_ENDS
            }
            WGMMA_WAIT(0);
            WGMMA_HOLD(score, SCORES)
            if (LANE == 0) {
                mbar_arrive(keys_empty);
            }
            TAKE_SCORES(0)
            pack_weights(packed, score);
            for (int j = 1; j < all; j++) {
                int s = j % STAGES;
                int before = (j - 1) % STAGES;
                mbar_wait(keys_full + s, j / STAGES % 2);
                TURN_BEGINS
                ask_scores(score, own_queries, key_ring + s * TILE_BYTES);
                mbar_wait(values_full + before, (j - 1) / STAGES % 2);
                ask_result(result, packed, value_ring + before * TILE_BYTES);
                if (j + 1 < all || team < TEAMS - 1) {
                    TURN_ENDS
                }
                WGMMA_WAIT(1);
                WGMMA_HOLD(score, SCORES)
                if (LANE == 0) {
                    mbar_arrive(keys_empty + s);
                }
                TAKE_SCORES(j)
                WGMMA_WAIT(0);
                WGMMA_HOLD(result, RESULTS)
                if (LANE == 0) {
                    mbar_arrive(values_empty + before);
                }
                rescale(result, shrink);
                pack_weights(packed, score);
            }
            int before = (all - 1) % STAGES;
            mbar_wait(values_full + before, (all - 1) / STAGES % 2);
            ask_result(result, packed, value_ring + before * TILE_BYTES);
            WGMMA_WAIT(0);
            WGMMA_HOLD(result, RESULTS)
        }
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
}
