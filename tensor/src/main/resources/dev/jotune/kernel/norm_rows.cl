/*
 * RMSNorm, or LayerNorm if LAYER, of `rows` dense rows of n; of x + residual if RESIDUAL, which becomes `sum`.
 *
 * A group takes a row; its items walk it in steps of GROUP, so that neighbours read neighbours: once for the mean (LAYER), once for
 * the mean square, once to write. Deviations are squared only when the mean is known, so that rows with a large offset keep their
 * digits. An item meets the same elements in every walk, so no walk waits for another but by its sum. Only the first walk reaches
 * device memory: a row is 16 to 32 KB and lies in the first-level cache for the others. Moves 2 n reals a row, 4 n with a residual,
 * and the flops (4 to 8 an element) never matter.
 */
#if RESIDUAL
#define ROW(i) LD(sum, at + (i))
#else
#define ROW(i) LD(x, at + (i))
#endif

KERNEL {
    SHM real scratch[GROUP];
    for (i64 row = BIDX; row < rows; row += GRIDX) {
        i64 at = row * n;
        real part = R(0.0);
        for (int i = LID; i < n; i += GROUP) {
            real v = LD(x, at + i);
#if RESIDUAL
            v += LD(residual, at + i);
            ST(sum, at + i, v);
#endif
#if LAYER
            part += v;
#else
            part = FMA(v, v, part);
#endif
        }
#if LAYER
        real middle = GROUP_SUM(part, scratch) / (real)n;
        part = R(0.0);
        for (int i = LID; i < n; i += GROUP) {
            real v = ROW(i) - middle;
            part = FMA(v, v, part);
        }
#endif
        real factor = RSQRT(GROUP_SUM(part, scratch) / (real)n + eps);
        for (int i = LID; i < n; i += GROUP) {
#if LAYER
            ST(y, at + i, FMA((ROW(i) - middle) * factor, LD(weight, i), LD(bias, i)));
#else
            ST(y, at + i, ROW(i) * factor * LD(weight, i));
#endif
        }
#if LAYER
        if (LID == 0) {
            ST(mean, row, middle);
            ST(scale, row, factor);
        }
#endif
    }
}
