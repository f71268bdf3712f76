package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;

/**
 * Passes of a normalisation over rows in the first-level cache. Sums go over two rows at a time: adding one row's lanes
 * is a chain of dependent additions, which the other row fills. A row's result does not depend on its company. (Writing
 * two rows at a time is slower than one after the other.)
 */
final class NormRows {
    private NormRows() {
    }

    /** Bytes of scratch that the passes need for their results. */
    static final int SCRATCH = 64;

    /** Writes to {@code out} the sums of two rows, then the sums of their squares. */
    static void moments(long x, long x2, int n, long out) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        FloatVector a2 = a;
        FloatVector b2 = a;
        FloatVector c2 = a;
        FloatVector d2 = a;
        int i = 0;
        for (; i <= n - 2 * L; i += 2 * L) {
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER);
            FloatVector u2 = FloatVector.fromMemorySegment(S, ALL, x2 + 4L * i, ORDER);
            FloatVector v2 = FloatVector.fromMemorySegment(S, ALL, x2 + 4L * i + LB, ORDER);
            a = a.add(u);
            b = b.add(v);
            c = u.fma(u, c);
            d = v.fma(v, d);
            a2 = a2.add(u2);
            b2 = b2.add(v2);
            c2 = u2.fma(u2, c2);
            d2 = v2.fma(v2, d2);
        }
        float sum = Lanes.sum(a.add(b));
        float sum2 = Lanes.sum(a2.add(b2));
        float squares = Lanes.sum(c.add(d));
        float squares2 = Lanes.sum(c2.add(d2));
        for (; i < n; i++) {
            float u = Mem.f32(x + 4L * i);
            float u2 = Mem.f32(x2 + 4L * i);
            sum += u;
            sum2 += u2;
            squares = Math.fma(u, u, squares);
            squares2 = Math.fma(u2, u2, squares2);
        }
        Mem.f32(out, sum);
        Mem.f32(out + 4, sum2);
        Mem.f32(out + 8, squares);
        Mem.f32(out + 12, squares2);
    }

    /** Writes to {@code out} the sums of the squares of two rows. */
    static void squares(long x, long x2, int n, long out) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector a2 = a;
        FloatVector b2 = a;
        int i = 0;
        for (; i <= n - 2 * L; i += 2 * L) {
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER);
            FloatVector u2 = FloatVector.fromMemorySegment(S, ALL, x2 + 4L * i, ORDER);
            FloatVector v2 = FloatVector.fromMemorySegment(S, ALL, x2 + 4L * i + LB, ORDER);
            a = u.fma(u, a);
            b = v.fma(v, b);
            a2 = u2.fma(u2, a2);
            b2 = v2.fma(v2, b2);
        }
        float total = Lanes.sum(a.add(b));
        float total2 = Lanes.sum(a2.add(b2));
        for (; i < n; i++) {
            float u = Mem.f32(x + 4L * i);
            float u2 = Mem.f32(x2 + 4L * i);
            total = Math.fma(u, u, total);
            total2 = Math.fma(u2, u2, total2);
        }
        Mem.f32(out, total);
        Mem.f32(out + 4, total2);
    }

    /** {@code y = (x - mean) scale w + b}. */
    static void apply(long x, float mean, float scale, long w, long b, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean).mul(scale)
                    .fma(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER),
                            FloatVector.fromMemorySegment(S, ALL, b + 4L * i, ORDER)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(y + 4L * i, Math.fma((Mem.f32(x + 4L * i) - mean) * scale, Mem.f32(w + 4L * i), Mem.f32(b + 4L * i)));
        }
    }

    /** {@code y = x scale w}. */
    static void apply(long x, float scale, long w, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).mul(scale)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(y + 4L * i, Mem.f32(x + 4L * i) * scale * Mem.f32(w + 4L * i));
        }
    }

    /** {@code target += dy (x - mean) scale}. */
    static void collect(long x, float mean, float scale, long dy, long target, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean).mul(scale)
                    .fma(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER),
                            FloatVector.fromMemorySegment(S, ALL, target + 4L * i, ORDER))
                    .intoMemorySegment(ALL, target + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float h = (Mem.f32(x + 4L * i) - mean) * scale;
            Mem.f32(target + 4L * i, Math.fma(h, Mem.f32(dy + 4L * i), Mem.f32(target + 4L * i)));
        }
    }

    /** Writes to {@code out} the sums of {@code x^2} and of {@code dy w x}. */
    static void squaresAndDot(long x, long w, long dy, int n, long out) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= n - 2 * L; i += 2 * L) {
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER);
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            FloatVector h = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i + LB, ORDER)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i + LB, ORDER));
            a = u.fma(u, a);
            b = v.fma(v, b);
            c = u.fma(g, c);
            d = v.fma(h, d);
        }
        float squares = Lanes.sum(a.add(b));
        float dot = Lanes.sum(c.add(d));
        for (; i < n; i++) {
            float u = Mem.f32(x + 4L * i);
            squares += u * u;
            dot += u * (Mem.f32(dy + 4L * i) * Mem.f32(w + 4L * i));
        }
        Mem.f32(out, squares);
        Mem.f32(out + 4, dot);
    }

    /** Writes to {@code out} the sums of {@code dy w} and of {@code dy w (x - mean)}. */
    static void sumAndDot(long x, float mean, long w, long dy, int n, long out) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= n - 2 * L; i += 2 * L) {
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            FloatVector h = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i + LB, ORDER)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i + LB, ORDER));
            a = a.add(g);
            b = b.add(h);
            c = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean).fma(g, c);
            d = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER).sub(mean).fma(h, d);
        }
        float sum = Lanes.sum(a.add(b));
        float dot = Lanes.sum(c.add(d));
        for (; i < n; i++) {
            float g = Mem.f32(dy + 4L * i) * Mem.f32(w + 4L * i);
            sum += g;
            dot += (Mem.f32(x + 4L * i) - mean) * g;
        }
        Mem.f32(out, sum);
        Mem.f32(out + 4, dot);
    }

    /** {@code dx = scale (dy w - shift + (x - mean) slope)}. */
    static void input(long x, float mean, float scale, long w, long dy, float shift, float slope, long dx, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean)
                    .fma(FloatVector.broadcast(S, slope), g.sub(shift)).mul(scale).intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float g = Mem.f32(dy + 4L * i) * Mem.f32(w + 4L * i);
            Mem.f32(dx + 4L * i, Math.fma(Mem.f32(x + 4L * i) - mean, slope, g - shift) * scale);
        }
    }

    /** {@code dx = more + scale (dy w - shift + (x - mean) slope)}; dx may be more. */
    static void input(long x, float mean, float scale, long w, long dy, float shift, float slope, long more, long dx, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER));
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(mean)
                    .fma(FloatVector.broadcast(S, slope), g.sub(shift)).mul(scale)
                    .add(FloatVector.fromMemorySegment(S, ALL, more + 4L * i, ORDER)).intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float g = Mem.f32(dy + 4L * i) * Mem.f32(w + 4L * i);
            float own = Math.fma(Mem.f32(x + 4L * i) - mean, slope, g - shift) * scale;
            Mem.f32(dx + 4L * i, own + Mem.f32(more + 4L * i));
        }
    }
}
