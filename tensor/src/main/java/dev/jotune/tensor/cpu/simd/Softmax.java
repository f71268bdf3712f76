package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Softmax, its logarithm and their derivatives, of rows of {@code n} contiguous floats. A row stays in the first-level
 * cache between the passes: largest element; exponentials and their sum; the result. Outputs may lie on x.
 */
public final class Softmax {
    private Softmax() {
    }

    /**
     * Rows at a time, all of which stay in the first-level cache: what one row waits for, from its elements' maximum
     * and its lanes' sum, the next one hides.
     */
    public static int group(int n) {
        return Math.clamp(4096 / Math.max(1, n), 1, 8);
    }

    /**
     * y = softmax(x).
     *
     * @param at addresses of x; y
     * @param pitch bytes from row to row of each
     * @param rows up to {@link #group}
     */
    public static void forward(long[] at, long[] pitch, int rows, int n) {
        long sums = Scratch.get(Scratch.ROWS, 4L * rows);
        maxima(at[0], pitch[0], rows, n, sums);
        for (int r = 0; r < rows; r++) {
            float max = Mem.f32(sums + 4L * r);
            Mem.f32(sums + 4L * r, exponentials(at[0] + pitch[0] * r, max, at[1] + pitch[1] * r, n));
        }
        for (int r = 0; r < rows; r++) {
            Arithmetic.mul(at[1] + pitch[1] * r, 1 / Mem.f32(sums + 4L * r), at[1] + pitch[1] * r, n);
        }
    }

    private static void maxima(long x, long pitch, int rows, int n, long maxima) {
        for (int r = 0; r < rows; r++) {
            Mem.f32(maxima + 4L * r, max(x + pitch * r, n));
        }
    }

    /** at: x, dy; dx = y (dy - sum(y dy)). Other arguments as {@link #forward}. */
    public static void back(long[] at, long[] pitch, int rows, int n) {
        long padded = (4L * n + LB - 1) / LB * LB;
        long sums = Scratch.get(Scratch.ROWS, 64 + rows * padded);
        long e = sums + 64;
        maxima(at[0], pitch[0], rows, n, sums);
        for (int r = 0; r < rows; r++) {
            float max = Mem.f32(sums + 4L * r);
            Mem.f32(sums + 4L * r, exponentials(at[0] + pitch[0] * r, max, e + padded * r, n));
        }
        for (int r = 0; r < rows; r++) {
            float scale = 1 / Mem.f32(sums + 4L * r);
            long dy = at[1] + pitch[1] * r;
            gradient(e + padded * r, dy, scale, Reduce.dot(e + padded * r, dy, n) * scale, at[2] + pitch[2] * r, n);
        }
    }

    /** at: x; y = x - max - log(sum), and -infinity where x is. */
    public static void log(long[] at, long[] pitch, int rows, int n) {
        for (int r = 0; r < rows; r++) {
            long x = at[0] + pitch[0] * r;
            float max = max(x, n);
            logarithms(x, max, (float) Math.log(exponentials(x, max, 0, n)), at[1] + pitch[1] * r, n);
        }
    }

    /** at: x, dy; dx = g - y sum(g), g being dy where x is above -infinity and 0 elsewhere. */
    public static void logBack(long[] at, long[] pitch, int rows, int n) {
        long e = Scratch.get(Scratch.ROWS, 8L * n + LB);
        long g = e + (4L * n + LB - 1) / LB * LB;
        for (int r = 0; r < rows; r++) {
            long x = at[0] + pitch[0] * r;
            float sum = exponentials(x, max(x, n), e, n);
            above(x, at[1] + pitch[1] * r, g, n);
            addScaled(g, e, -Reduce.sum(g, n) / sum, at[2] + pitch[2] * r, n);
        }
    }

    /** The largest element that is a number; -infinity of nothing. Four chains: a comparison takes five cycles. */
    static float max(long x, int n) {
        x &= IN;
        FloatVector a = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= n - 4 * L; i += 4 * L) {
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER);
            FloatVector w = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + 2L * LB, ORDER);
            FloatVector z = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + 3L * LB, ORDER);
            a = a.blend(u, u.compare(VectorOperators.GT, a));
            b = b.blend(v, v.compare(VectorOperators.GT, b));
            c = c.blend(w, w.compare(VectorOperators.GT, c));
            d = d.blend(z, z.compare(VectorOperators.GT, d));
        }
        for (; i <= n - L; i += L) {
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a = a.blend(u, u.compare(VectorOperators.GT, a));
        }
        a = a.blend(b, b.compare(VectorOperators.GT, a));
        c = c.blend(d, d.compare(VectorOperators.GT, c));
        a = a.blend(c, c.compare(VectorOperators.GT, a));
        float best = a.reduceLanes(VectorOperators.MAX);
        for (; i < n; i++) {
            float u = Mem.f32(x + 4L * i);
            best = u > best ? u : best;
        }
        return best;
    }

    /** {@code y = e^(x - shift)}, y being nowhere if 0; returns the sum. */
    static float exponentials(long x, float shift, long y, int n) {
        int body = n / L * L;
        float sum = y == 0 ? sums(x, shift, body) : stored(x, shift, y, body);
        if (body == n) {
            return sum;
        }
        VectorMask<Float> tail = S.indexInRange(body, n);
        FloatVector e = VMath.expNegative(FloatVector.fromMemorySegment(S, ALL, x + 4L * body, ORDER, tail).sub(shift));
        if (y != 0) {
            e.intoMemorySegment(ALL, y + 4L * body, ORDER, tail);
        }
        return sum + Lanes.sum(FloatVector.zero(S).blend(e, tail));
    }

    private static float stored(long x, float shift, long y, int n) {
        x &= IN;
        y &= IN;
        FloatVector sum = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector e = VMath.expNegative(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(shift));
            e.intoMemorySegment(ALL, y + 4L * i, ORDER);
            sum = sum.add(e);
        }
        return Lanes.sum(sum);
    }

    private static float sums(long x, float shift, int n) {
        x &= IN;
        FloatVector sum = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            sum = sum.add(VMath.expNegative(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(shift)));
        }
        return Lanes.sum(sum);
    }

    // dx = e scale (dy - dot)
    private static void gradient(long e, long dy, float scale, float dot, long dx, int n) {
        dy &= IN;
        e &= IN;
        dx &= IN;
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER).sub(dot)
                    .mul(FloatVector.fromMemorySegment(S, ALL, e + 4L * i, ORDER).mul(scale)).intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(dx + 4L * i, (Mem.f32(dy + 4L * i) - dot) * (Mem.f32(e + 4L * i) * scale));
        }
    }

    private static void logarithms(long x, float max, float logSum, long y, int n) {
        x &= IN;
        y &= IN;
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.broadcast(S, Float.NEGATIVE_INFINITY)
                    .blend(v.sub(max).sub(logSum), v.compare(VectorOperators.GT, Float.NEGATIVE_INFINITY))
                    .intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            float v = Mem.f32(x + 4L * i);
            Mem.f32(y + 4L * i, v > Float.NEGATIVE_INFINITY ? v - max - logSum : Float.NEGATIVE_INFINITY);
        }
    }

    // g = dy where x is above -infinity, else 0
    private static void above(long x, long dy, long g, int n) {
        x &= IN;
        dy &= IN;
        g &= IN;
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.zero(S).blend(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER),
                    v.compare(VectorOperators.GT, Float.NEGATIVE_INFINITY)).intoMemorySegment(ALL, g + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(g + 4L * i, Mem.f32(x + 4L * i) > Float.NEGATIVE_INFINITY ? Mem.f32(dy + 4L * i) : 0);
        }
    }

    /** {@code y = x + factor e}. */
    static void addScaled(long x, long e, float factor, long y, int n) {
        e &= IN;
        x &= IN;
        y &= IN;
        FloatVector f = FloatVector.broadcast(S, factor);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, e + 4L * i, ORDER).fma(f, FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER))
                    .intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(y + 4L * i, Math.fma(Mem.f32(e + 4L * i), factor, Mem.f32(x + 4L * i)));
        }
    }
}
