#define GROUP 256
#define INTERLEAVED 0
/* prelude-opencl.h */
/* prelude-common.h */
#define LD_x(i) ld_f32(x, i)
#define LD4_x(i) ld4_f32(x, i)
#define LD_cosines(i) ld_f32(cosines, i)
#define LD4_cosines(i) ld4_f32(cosines, i)
#define LD_sines(i) ld_f32(sines, i)
#define LD4_sines(i) ld4_f32(sines, i)
#define LD_y(i) ld_f32(y, i)
#define LD4_y(i) ld4_f32(y, i)
#define ST_y(i, v) st_f32(y, i, v)
#define ST4_y(i, v) st4_f32(y, i, v)
/*
 * Rotary position embedding of x [B, H, T, size], any strides: the first 2 pairs features of a position turn in pairs,
 * (a, b) -> (a cos - b sin, b cos + a sin); features beyond them pass through.
 *
 * A position takes 2^lane_bits neighbouring items, each a pair, or a feature that has none, so that neighbours read neighbours and a
 * group takes as many positions as it has room for: no item divides but by heads and time, in 32 bits, since divisions of 64 would
 * take longer than the memory. Moves 2 size reals a position of a head; the tables stay in the caches from head to head.
 */
KERNEL_HEAD rotary(GLB const float* x_base, i64 x_offset, GLB const float* cosines_base, i64 cosines_offset, GLB const float* sines_base, i64 sines_offset, GLB float* y_base, i64 y_offset, int positions, int heads, int time, int size, int pairs, int lane_bits, real direction, i64 table_batch, i64 x_batch, i64 x_head, i64 x_time, i64 x_feature, i64 y_batch, i64 y_head, i64 y_time, i64 y_feature) {
    GLB const float* x = x_base + x_offset;
    GLB const float* cosines = cosines_base + cosines_offset;
    GLB const float* sines = sines_base + sines_offset;
    GLB float* y = y_base + y_offset;
    int lanes = 1 << lane_bits;
    int places = GROUP >> lane_bits;
    for (i64 p = (i64)BIDX * places + (LID >> lane_bits); p < positions; p += (i64)GRIDX * places) {
        int position = (int)p;
        i64 t = position % time;
        i64 h = position / time % heads;
        i64 b = position / time / heads;
        i64 from = b * x_batch + h * x_head + t * x_time;
        i64 to = b * y_batch + h * y_head + t * y_time;
        for (int unit = LID & (lanes - 1); unit < size - pairs; unit += lanes) {
            if (unit < pairs) {
                i64 angle = b * table_batch + t * pairs + unit;
                real c = LD(cosines, angle);
                real s = LD(sines, angle) * direction;
                int first = INTERLEAVED ? 2 * unit : unit;
                int second = INTERLEAVED ? 2 * unit + 1 : unit + pairs;
                real u = LD(x, from + first * x_feature);
                real v = LD(x, from + second * x_feature);
                ST(y, to + first * y_feature, u * c - v * s);
                ST(y, to + second * y_feature, v * c + u * s);
            } else {
                ST(y, to + (unit + pairs) * y_feature, LD(x, from + (unit + pairs) * x_feature));
            }
        }
    }
}
