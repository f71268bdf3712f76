/*
 * The gradient by the rows of norm_rows.cl: with h = (x - mean) scale and g = dy weight,
 * dx = scale (g - mean(g) - h mean(g h)), where RMSNorm has no mean(g). If MORE, another gradient by x is added on the way.
 *
 * A group takes a row, as in norm_rows.cl: one walk for the sums, one to write. RMSNorm finds its scale again from x, which it reads
 * anyway, instead of having stored it; if SCALES it leaves it for norm_weights.cl. Moves 3 n reals a row, 4 n with MORE. dx may lie
 * where dy or `more` does: an element is written by the item that read it, after the walk whose sums wait for all items.
 */
KERNEL {
    SHM real scratch[GROUP];
    for (i64 row = BIDX; row < rows; row += GRIDX) {
        i64 at = row * n;
#if LAYER
        real middle = LD(mean, row);
        real factor = LD(scale, row);
        real total = R(0.0);
#else
        real squares = R(0.0);
#endif
        real dot = R(0.0);
        for (int i = LID; i < n; i += GROUP) {
#if LAYER
            real g = LD(dy, at + i) * LD(weight, i);
            total += g;
            dot = FMA(LD(x, at + i) - middle, g, dot);
#else
            real v = LD(x, at + i);
            squares = FMA(v, v, squares);
#if INPUT
            dot = FMA(v, LD(dy, at + i) * LD(weight, i), dot);
#endif
#endif
        }
#if !LAYER
        real factor = RSQRT(GROUP_SUM(squares, scratch) / (real)n + eps);
#if SCALES
        if (LID == 0) {
            ST(scale, row, factor);
        }
#endif
#endif
#if INPUT
        real slope = GROUP_SUM(dot, scratch) * factor * factor / (real)n;
#if LAYER
        real shift = GROUP_SUM(total, scratch) / (real)n;
#endif
        for (int i = LID; i < n; i += GROUP) {
            real g = LD(dy, at + i) * LD(weight, i);
#if LAYER
            real d = factor * (g - shift - (LD(x, at + i) - middle) * slope);
#else
            real d = factor * (g - LD(x, at + i) * slope);
#endif
#if MORE
            d += LD(more, at + i);
#endif
            ST(dx, at + i, d);
        }
#endif
    }
}
