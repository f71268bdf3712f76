package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;

/**
 * Passes of a normalisation over rows in the first-level cache. A row's sums have four chains each, since one addition waits
 * for the one before. LayerNorm writes its rows in columns of four vectors, whose weights stay in registers from row to row: a vector then
 * takes one load and one store instead of three and one, and those, not arithmetic, are this pass's time. RMSNorm has one weight less to
 * load, and gains nothing by it. A row's result does not depend on its company.
 */
final class NormRows {
    private NormRows() {
    }

    /** Bytes of scratch that the backward passes need for their results. */
    static final int SCRATCH = 64;
    /** Columns whose weights stay in registers. */
    private static final int COLUMNS = 4 * L;

    /** Writes the sum of a row to {@code sum} and the sum of its squares to {@code squares}. */
    static void moments(long x, int n, long sum, long squares) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        FloatVector aa = a;
        FloatVector bb = a;
        FloatVector cc = a;
        FloatVector dd = a;
        int i = 0;
        for (; i <= n - COLUMNS; i += COLUMNS) {
            x &= IN;
            FloatVector t = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + LB, ORDER);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 2 * LB, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, x + 3 * LB, ORDER);
            a = a.add(t);
            b = b.add(u);
            c = c.add(v);
            d = d.add(w);
            aa = t.fma(t, aa);
            bb = u.fma(u, bb);
            cc = v.fma(v, cc);
            dd = w.fma(w, dd);
            x += 4 * LB;
        }
        for (; i <= n - L; i += L) {
            FloatVector t = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            a = a.add(t);
            aa = t.fma(t, aa);
            x += LB;
        }
        float total = Lanes.sum(a.add(b).add(c.add(d)));
        float square = Lanes.sum(aa.add(bb).add(cc.add(dd)));
        for (; i < n; i++) {
            float t = Mem.f32(x);
            total += t;
            square = Math.fma(t, t, square);
            x += 4;
        }
        Mem.f32(sum, total);
        Mem.f32(squares, square);
    }

    /** The sum of a row's squares. */
    static float squares(long x, int n) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= n - COLUMNS; i += COLUMNS) {
            x &= IN;
            FloatVector t = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + LB, ORDER);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 2 * LB, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, x + 3 * LB, ORDER);
            a = t.fma(t, a);
            b = u.fma(u, b);
            c = v.fma(v, c);
            d = w.fma(w, d);
            x += 4 * LB;
        }
        for (; i <= n - L; i += L) {
            FloatVector t = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            a = t.fma(t, a);
            x += LB;
        }
        float square = Lanes.sum(a.add(b).add(c.add(d)));
        for (; i < n; i++) {
            float t = Mem.f32(x);
            square = Math.fma(t, t, square);
            x += 4;
        }
        return square;
    }

    /** {@code y = (x - mean) scale w + b} of rows one after the other, {@code means} and {@code scales} having a float for each. */
    static void apply(long x, long means, long scales, long w, long b, long y, int n, int rows) {
        long row = 4L * n;
        int i = 0;
        for (; i <= n - COLUMNS; i += COLUMNS) {
            w &= IN;
            b &= IN;
            FloatVector w0 = FloatVector.fromMemorySegment(S, ALL, w, ORDER);
            FloatVector w1 = FloatVector.fromMemorySegment(S, ALL, w + LB, ORDER);
            FloatVector w2 = FloatVector.fromMemorySegment(S, ALL, w + 2 * LB, ORDER);
            FloatVector w3 = FloatVector.fromMemorySegment(S, ALL, w + 3 * LB, ORDER);
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + LB, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + 2 * LB, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + 3 * LB, ORDER);
            long p = x + 4L * i;
            long q = y + 4L * i;
            for (int k = 0; k < rows; k++) {
                p &= IN;
                q &= IN;
                FloatVector m = FloatVector.broadcast(S, Mem.f32(means + 4L * k & IN));
                FloatVector s = FloatVector.broadcast(S, Mem.f32(scales + 4L * k & IN));
                FloatVector.fromMemorySegment(S, ALL, p, ORDER).sub(m).mul(s).fma(w0, b0).intoMemorySegment(ALL, q, ORDER);
                FloatVector.fromMemorySegment(S, ALL, p + LB, ORDER).sub(m).mul(s).fma(w1, b1).intoMemorySegment(ALL, q + LB, ORDER);
                FloatVector.fromMemorySegment(S, ALL, p + 2 * LB, ORDER).sub(m).mul(s).fma(w2, b2).intoMemorySegment(ALL, q + 2 * LB, ORDER);
                FloatVector.fromMemorySegment(S, ALL, p + 3 * LB, ORDER).sub(m).mul(s).fma(w3, b3).intoMemorySegment(ALL, q + 3 * LB, ORDER);
                p += row;
                q += row;
            }
            w += 4 * LB;
            b += 4 * LB;
        }
        for (int k = 0; i < n && k < rows; k++) {
            long at = row * k + 4L * i;
            rest(x + at, Mem.f32(means + 4L * k), Mem.f32(scales + 4L * k), w, b, y + at, n - i);
        }
    }

    private static void rest(long x, float mean, float scale, long w, long b, long y, int n) {
        x &= IN;
        w &= IN;
        b &= IN;
        y &= IN;
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
        x &= IN;
        w &= IN;
        y &= IN;
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
        x &= IN;
        dy &= IN;
        target &= IN;
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
        x &= IN;
        dy &= IN;
        w &= IN;
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
        dy &= IN;
        w &= IN;
        x &= IN;
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
        dy &= IN;
        w &= IN;
        x &= IN;
        dx &= IN;
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
        dy &= IN;
        w &= IN;
        x &= IN;
        more &= IN;
        dx &= IN;
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
