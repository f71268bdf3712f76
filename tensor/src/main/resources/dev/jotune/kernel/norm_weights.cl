/*
 * The gradients by weight and bias of norm_rows.cl, summed over the rows of each of `chunks` parts: dy h and dy, h = (x - mean) scale.
 * Where there are several parts, a sum over them follows. No sum depends on which group ran first.
 *
 * A group takes COLUMNS columns of a part: COLUMNS neighbouring items read 128 bytes of a row, and GROUP / COLUMNS rows are under
 * way side by side; their sums meet in shared memory at the end, in order. It reads x and dy once more than norm_backward.cl did,
 * which keeps that one free of sums over rows: models that are tuned with frozen norms never come here.
 */
#define LANES (GROUP / COLUMNS)

KERNEL {
    SHM real weights[GROUP];
    SHM real biases[GROUP];
    i64 blocks = (n + COLUMNS - 1) / COLUMNS;
    for (i64 task = BIDX; task < chunks * blocks; task += GRIDX) {
        i64 chunk = task / blocks;
        i64 c = task % blocks * COLUMNS + LID % COLUMNS;
        i64 end = rows * (chunk + 1) / chunks;
        real by_weight = R(0.0);
        real by_bias = R(0.0);
        for (i64 r = rows * chunk / chunks + LID / COLUMNS; r < end && c < n; r += LANES) {
            real g = LD(dy, r * n + c);
#if WEIGHT && LAYER
            by_weight = FMA(g, (LD(x, r * n + c) - LD(mean, r)) * LD(scale, r), by_weight);
#elif WEIGHT
            by_weight = FMA(g, LD(x, r * n + c) * LD(scale, r), by_weight);
#endif
            by_bias += g;
        }
        weights[LID] = by_weight;
        biases[LID] = by_bias;
        BARRIER();
        if (LID < COLUMNS && c < n) {
            for (int lane = 1; lane < LANES; lane++) {
                by_weight += weights[lane * COLUMNS + LID];
                by_bias += biases[lane * COLUMNS + LID];
            }
#if WEIGHT
            ST(dweight, chunk * n + c, by_weight);
#endif
#if BIAS
            ST(dbias, chunk * n + c, by_bias);
#endif
        }
        BARRIER();
    }
}
