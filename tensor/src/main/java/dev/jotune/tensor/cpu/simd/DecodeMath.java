package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** The small passes of a decode step, over one row that lies in the first cache. */
final class DecodeMath {
    private DecodeMath() {
    }

    /** {@code y = w x / sqrt(mean(x^2) + eps)}; y may be x. */
    static void norm(long x, long w, long y, int n, double eps) {
        float scale = (float) (1 / Math.sqrt((double) Reduce.squares(x, 0, n) / n + eps));
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).mul(scale)
                    .mul(FloatVector.fromMemorySegment(S, ALL, w + 4L * i, ORDER)).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(y + 4L * i, Mem.f32(x + 4L * i) * scale * Mem.f32(w + 4L * i));
        }
    }

    /** {@code gate = silu(gate) up} of n floats and those that fill their last vector. */
    static void swiglu(long gate, long up, int n) {
        for (int i = 0; i < n; i += L) {
            FloatVector g = FloatVector.fromMemorySegment(S, ALL, gate + 4L * i, ORDER);
            FloatVector e = VMath.exp(g.neg()).add(1f);
            g.div(e).mul(FloatVector.fromMemorySegment(S, ALL, up + 4L * i, ORDER)).intoMemorySegment(ALL, gate + 4L * i, ORDER);
        }
    }

    /** Features i and i + pairs turn by angle i; later ones pass through. */
    static void rotate(long x, long y, int n, float[] cos, float[] sin, int pairs) {
        for (int i = 0; i < pairs; i++) {
            float a = Mem.f32(x + 4L * i);
            float b = Mem.f32(x + 4L * (i + pairs));
            Mem.f32(y + 4L * i, a * cos[i] - b * sin[i]);
            Mem.f32(y + 4L * (i + pairs), b * cos[i] + a * sin[i]);
        }
        for (int i = 2 * pairs; i < n; i++) {
            Mem.f32(y + 4L * i, Mem.f32(x + 4L * i));
        }
    }

    /** {@code x = factor x}. */
    static void scale(long x, float factor, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(x + 4L * i, Mem.f32(x + 4L * i) * factor);
        }
    }

    /** {@code scores[s] = q . keys[s]}; room for whole vectors of scores. */
    static void scores(long q, long keys, long stride, int n, int d, long scores) {
        long sums = Scratch.get(Scratch.ROW_SUMS, 16L * LB);
        int done = d / L * L;
        for (int s = 0; s < n; s += 16) {
            int count = Math.min(16, n - s);
            DenseRows.f32(q, keys + stride * s, stride, d / L, count, sums);
            Lanes.fold(sums, count);
            for (int j = 0; j < count; j++) {
                float sum = Mem.f32(sums + 4L * j);
                for (int p = done; p < d; p++) {
                    sum += Mem.f32(q + 4L * p) * Mem.f32(keys + stride * (s + j) + 4L * p);
                }
                Mem.f32(scores + 4L * (s + j), sum);
            }
        }
    }

    /** {@code scores = e^(scores - max)}; returns their sum. Room for whole vectors. */
    static float exponentials(long scores, int n) {
        for (int i = n; i % L != 0; i++) {
            Mem.f32(scores + 4L * i, Float.NEGATIVE_INFINITY);
        }
        FloatVector max = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
        for (int i = 0; i < n; i += L) {
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, scores + 4L * i, ORDER);
            max = max.blend(x, x.compare(VectorOperators.GT, max));
        }
        float shift = max.reduceLanes(VectorOperators.MAX);
        FloatVector sum = FloatVector.zero(S);
        for (int i = 0; i < n; i += L) {
            FloatVector e = VMath.exp(FloatVector.fromMemorySegment(S, ALL, scores + 4L * i, ORDER).sub(shift));
            e.intoMemorySegment(ALL, scores + 4L * i, ORDER);
            sum = sum.add(e);
        }
        return Lanes.sum(sum);
    }

    /** {@code out = factor (sum of p[s] values[s] + last own)}, the values of n cached tokens and the newest one's. */
    static void mix(long p, long values, long stride, int n, long own, float factor, int d, long out) {
        int i = 0;
        for (; i <= d - 4 * L; i += 4 * L) {
            mix4(p, values + 4L * i, stride, n, own + 4L * i, factor, out + 4L * i);
        }
        for (; i <= d - L; i += L) {
            mix1(p, values + 4L * i, stride, n, own + 4L * i, factor, out + 4L * i);
        }
        for (; i < d; i++) {
            float sum = 0;
            for (int s = 0; s < n; s++) {
                sum += Mem.f32(p + 4L * s) * Mem.f32(values + stride * s + 4L * i);
            }
            Mem.f32(out + 4L * i, factor * (sum + Mem.f32(p + 4L * n) * Mem.f32(own + 4L * i)));
        }
    }

    private static void mix4(long p, long v, long stride, int n, long own, float factor, long out) {
        FloatVector w = FloatVector.broadcast(S, Mem.f32(p + 4L * n));
        FloatVector a = FloatVector.fromMemorySegment(S, ALL, own, ORDER).mul(w);
        FloatVector b = FloatVector.fromMemorySegment(S, ALL, own + LB, ORDER).mul(w);
        FloatVector c = FloatVector.fromMemorySegment(S, ALL, own + 2L * LB, ORDER).mul(w);
        FloatVector e = FloatVector.fromMemorySegment(S, ALL, own + 3L * LB, ORDER).mul(w);
        for (int s = 0; s < n; s++) {
            w = FloatVector.broadcast(S, Mem.f32(p));
            a = FloatVector.fromMemorySegment(S, ALL, v, ORDER).fma(w, a);
            b = FloatVector.fromMemorySegment(S, ALL, v + LB, ORDER).fma(w, b);
            c = FloatVector.fromMemorySegment(S, ALL, v + 2L * LB, ORDER).fma(w, c);
            e = FloatVector.fromMemorySegment(S, ALL, v + 3L * LB, ORDER).fma(w, e);
            p += 4;
            v += stride;
        }
        a.mul(factor).intoMemorySegment(ALL, out, ORDER);
        b.mul(factor).intoMemorySegment(ALL, out + LB, ORDER);
        c.mul(factor).intoMemorySegment(ALL, out + 2L * LB, ORDER);
        e.mul(factor).intoMemorySegment(ALL, out + 3L * LB, ORDER);
    }

    private static void mix1(long p, long v, long stride, int n, long own, float factor, long out) {
        FloatVector a = FloatVector.fromMemorySegment(S, ALL, own, ORDER).mul(Mem.f32(p + 4L * n));
        for (int s = 0; s < n; s++) {
            a = FloatVector.fromMemorySegment(S, ALL, v, ORDER).fma(FloatVector.broadcast(S, Mem.f32(p)), a);
            p += 4;
            v += stride;
        }
        a.mul(factor).intoMemorySegment(ALL, out, ORDER);
    }
}
