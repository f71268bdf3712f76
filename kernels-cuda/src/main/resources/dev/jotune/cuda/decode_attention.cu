/*
 * Attention of one token of each text to keys, in parts: group (x, y, z) takes the x-th of GRIDX runs of keys of head y of keys of text z,
 * for the SHARE heads of queries that share it. A warp takes a key at a time, a lane every 32nd feature, and the softmax is kept up to
 * date (Milakov and Gimelshein, arXiv 1805.02867); the warps' sums are then merged. The keys are the cache's, whose number and whose
 * padding are read from `state`, so that a recorded step serves every length; or `fixed` ones that all see, a tuned prefix. Runs
 * that are left without a key weigh nothing. Reads each key and value once for all SHARE heads, which bounds it: 2 SIZE numbers a key.
 */
#define WARPS (GROUP / 32)
#define EACH ((SIZE + 31) / 32)

KERNEL {
    SHM real sums[WARPS * (SIZE + 2)];
    int lane = LID % 32;
    int warp = LID / 32;
    i64 end = fixed > 0 ? fixed : state[STATE * BIDZ + 1] + 1;
    i64 begin = fixed == 0 && window > 0 && end > window ? end - window : 0;
    i64 hidden = fixed > 0 ? 0 : state[STATE * BIDZ + 2];
    i64 seen = fixed > 0 ? 0 : state[STATE * BIDZ + 3];
    i64 run = (end - begin + GRIDX - 1) / GRIDX;
    i64 from = begin + BIDX * run;
    i64 to = from + run < end ? from + run : end;
    real query[SHARE][EACH];
    real sum[SHARE][EACH];
    real largest[SHARE];
    real weight[SHARE];
    UNROLL for (int r = 0; r < SHARE; r++) {
        largest[r] = NEG_INF;
        weight[r] = R(0.0);
        UNROLL for (int e = 0; e < EACH; e++) {
            int i = lane + 32 * e;
            query[r][e] = i < SIZE ? LD(q, (BIDZ * heads + BIDY * SHARE + r) * SIZE + i) * scale : R(0.0);
            sum[r][e] = R(0.0);
        }
    }
    for (i64 s = from + warp; s < to; s += WARPS) {
        if (s >= hidden && s < seen) {
            continue;
        }
        i64 place = BIDZ * textStride + BIDY * headStride + s * rowStride;
        real key[EACH];
        real value[EACH];
        UNROLL for (int e = 0; e < EACH; e++) {
            int i = lane + 32 * e;
            key[e] = i < SIZE ? LD(keys, place + i) : R(0.0);
            value[e] = i < SIZE ? LD(values, place + i) : R(0.0);
        }
        UNROLL for (int r = 0; r < SHARE; r++) {
            real dot = R(0.0);
            UNROLL for (int e = 0; e < EACH; e++) {
                dot = FMA(query[r][e], key[e], dot);
            }
            UNROLL for (int apart = 16; apart > 0; apart /= 2) {
                dot += __shfl_xor_sync(0xffffffffu, dot, apart);
            }
            real larger = FMAX(largest[r], dot);
            real before = EXP(largest[r] - larger);
            real now = EXP(dot - larger);
            largest[r] = larger;
            weight[r] = FMA(weight[r], before, now);
            UNROLL for (int e = 0; e < EACH; e++) {
                sum[r][e] = FMA(sum[r][e], before, now * value[e]);
            }
        }
    }
    UNROLL for (int r = 0; r < SHARE; r++) {
        SHP real* mine = sums + warp * (SIZE + 2);
        UNROLL for (int e = 0; e < EACH; e++) {
            int i = lane + 32 * e;
            if (i < SIZE) {
                mine[i] = sum[r][e];
            }
        }
        if (lane == 0) {
            mine[SIZE] = largest[r];
            mine[SIZE + 1] = weight[r];
        }
        BARRIER();
        real most = NEG_INF;
        for (int w = 0; w < WARPS; w++) {
            most = FMAX(most, sums[w * (SIZE + 2) + SIZE]);
        }
        i64 out = ((BIDZ * heads + BIDY * SHARE + r) * runs + first + BIDX) * (SIZE + 2);
        for (int i = LID; i < SIZE + 2; i += GROUP) {
            real total = R(0.0);
            for (int w = 0; w < WARPS && most > NEG_INF; w++) {
                total = FMA(sums[w * (SIZE + 2) + i], EXP(sums[w * (SIZE + 2) + SIZE] - most), total);
            }
            ST(parts, out + i, i == SIZE ? most : total);
        }
        BARRIER();
    }
}
