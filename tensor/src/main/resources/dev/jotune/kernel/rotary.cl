/*
 * Rotary position embedding of x [B, H, T, D], any strides: the first 2 HALF features of a position turn in pairs,
 * (a, b) -> (a cos - b sin, b cos + a sin); features beyond them pass through.
 *
 * An item takes a pair, or a feature that has none, so that neighbours read neighbours. Sizes of a position are constants of the
 * text, which turns the division by them into a multiplication, and the other divisions are of 32 bits: with 64 they would take
 * longer than the memory. Moves 2 D reals a position of a head; the tables are small and read again from the caches for every head.
 */
#define UNITS (D - HALF)

KERNEL {
    for (i64 e = (i64)BIDX * GROUP + LID; e < (i64)positions * UNITS; e += (i64)GRIDX * GROUP) {
        int position = (int)(e / UNITS);
        int unit = (int)(e % UNITS);
        i64 t = position % time;
        i64 h = position / time % heads;
        i64 b = position / time / heads;
        i64 from = b * x_batch + h * x_head + t * x_time;
        i64 to = b * y_batch + h * y_head + t * y_time;
        if (unit < HALF) {
            i64 angle = b * table_batch + t * HALF + unit;
            real c = LD(cosines, angle);
            real s = LD(sines, angle) * direction;
            int first = INTERLEAVED ? 2 * unit : unit;
            int second = INTERLEAVED ? 2 * unit + 1 : unit + HALF;
            real u = LD(x, from + first * x_feature);
            real v = LD(x, from + second * x_feature);
            ST(y, to + first * y_feature, u * c - v * s);
            ST(y, to + second * y_feature, v * c + u * s);
        } else {
            ST(y, to + (unit + HALF) * y_feature, LD(x, from + (unit + HALF) * x_feature));
        }
    }
}
