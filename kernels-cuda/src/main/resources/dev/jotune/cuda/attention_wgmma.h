/*
 * What the kernels of attention for warp groups share: tiles as TMA leaves them, and the two products that all of them are made of.
 *
 * A team is a warp group with 64 lines of its own; BN lines at a time pass by all teams, in a ring of STAGES tiles. A line is WIDTH
 * features, in slabs of 64: 128 bytes, swizzled as TMA does; a tile of more features is several slabs one behind another.
 *
 *     ask_scores    score[own][passing] = sum_f own[own][f] passing[passing][f]        Q K^T, dOut V^T and their transposes
 *     ask_result    result[own][f] += sum_c weights[own][c] passing[c][f]              P V, dS K, P^T dOut, dS^T Q
 *
 * Both ask and do not wait. Weights are read from the registers that scores were computed in, passing lines as they lie.
 */
#define SLABS (WIDTH / 64)
#define OWN_SLAB (64 * 128)
#define OWN_BYTES (SLABS * OWN_SLAB)
#define SLAB (BN * 128)
#define TILE_BYTES (SLABS * SLAB)
#if HALF
#define WGMMA(shape) wgmma_f16_##shape
#else
#define WGMMA(shape) wgmma_bf16_##shape
#endif
#if BN == 128
#define PRODUCT_SCORES WGMMA(64x128)
#else
#define PRODUCT_SCORES WGMMA(64x64)
#endif
#if WIDTH == 256
#define PRODUCT_RESULT WGMMA(ra_64x256_bt)
#elif WIDTH == 192
#define PRODUCT_RESULT WGMMA(ra_64x192_bt)
#elif WIDTH == 128
#define PRODUCT_RESULT WGMMA(ra_64x128_bt)
#else
#define PRODUCT_RESULT WGMMA(ra_64x64_bt)
#endif

/* The derivative of a capped score by what was capped; that of a masked one, -infinity, is multiplied by a probability of 0, so 0 too. */
#if CAPPED
#define SLOPE(score) fmaxf(0.0f, 1.0f - (score) * (score))
#else
#define SLOPE(score) 1.0f
#endif

/* Both operands with neighbouring features. */
FN void ask_scores(float* score, const unsigned char* own, const unsigned char* passing) {
    wgmma_fence();
    UNROLL
    for (int i = 0; i < WIDTH / 16; i++) {
        PRODUCT_SCORES(score, wgmma_desc(own + i / 4 * OWN_SLAB + i % 4 * 32, 16, 1024, 128),
                wgmma_desc(passing + i / 4 * SLAB + i % 4 * 32, 16, 1024, 128), i > 0);
    }
    wgmma_commit();
}

/* 16 passing lines a step, 2048 bytes. */
FN void ask_result(float* result, const u32* weights, const unsigned char* passing) {
    wgmma_fence();
    UNROLL
    for (int i = 0; i < BN / 16; i++) {
        PRODUCT_RESULT(result, weights + i * 4, wgmma_desc(passing + i * 2048, SLAB, 1024, 128), 1);
    }
    wgmma_commit();
}

FN void pack_weights(u32* packed, const float* score) {
    UNROLL
    for (int i = 0; i < SCORES / 2; i++) {
        packed[i] = PACK(score[2 * i], score[2 * i + 1]);
    }
}

#if MASKED
/* By a warp that fetches: a bit for each of some keys, 32 a word, whether a mask lets them be seen. */
FN void fetch_seen(u32* seen, int words, int masked, const u8* mask, int count) {
    UNROLL_BY(1)
    for (int i = 0; i < words; i++) {
        int c = i * 32 + LANE;
        u32 word = __ballot_sync(0xffffffffu, c < count && (masked == 0 || mask[c] != 0));
        if (LANE == 0) {
            seen[i] = word;
        }
    }
}

/* Hides the scores of keys that a tile's mask does not let be seen, where keys are columns. */
FN void hide_unseen(float* score, const u32* seen) {
    UNROLL
    for (int n = 0; n < N_TILES; n++) {
        u32 word = seen[n / 4] >> (n % 4 * 8 + LANE % 4 * 2);
        UNROLL
        for (int e = 0; e < 4; e++) {
            score[n * 4 + e] = (word >> e % 2 & 1) != 0 ? score[n * 4 + e] : NEG_INF;
        }
    }
}
#endif
