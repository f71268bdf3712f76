package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static jdk.incubator.vector.FloatVector.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Activations and their derivatives in one pass each, of {@code n} contiguous floats, n a multiple of the vector
 * length. All rest on the logistic function s: {@code silu(x) = x s(x)}, and since {@code 1 + tanh(u) = 2 s(2u)}, GELU's
 * tanh form is {@code x s(2u)} with {@code 2u = x (K + 3 C x^2)}, one exponential instead of an exponential and a
 * polynomial. Outputs may lie on inputs.
 */
public final class Gates {
    /** 2 sqrt(2 / pi), and 0.044715 of it. */
    private static final float K = 1.5957691216f;
    private static final float C = 0.0713548162f;
    /** Where x^2 is cut off so that its multiples stay finite: s is 0 or 1 there. */
    private static final float FAR = 400;

    private Gates() {
    }

    /** at: x; y. */
    public static void silu(long[] at, int n) {
        long x = at[0];
        long y = at[1];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            v.div(VMath.expQuick(v.neg()).add(broadcast(S, 1f))).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    /** at: x, dy; dx. */
    public static void siluBack(long[] at, int n) {
        long x = at[0];
        long dy = at[1];
        long dx = at[2];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector s = broadcast(S, 1f).div(VMath.expQuick(v.neg()).add(broadcast(S, 1f)));
            FloatVector slope = s.mul(v.fma(broadcast(S, 1f).sub(s), broadcast(S, 1f)));
            slope.mul(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER)).intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
    }

    /** at: gate, up; y. */
    public static void swiglu(long[] at, int n) {
        long g = at[0];
        long u = at[1];
        long y = at[2];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, g + 4L * i, ORDER);
            FloatVector up = FloatVector.fromMemorySegment(S, ALL, u + 4L * i, ORDER);
            v.div(VMath.expQuick(v.neg()).add(broadcast(S, 1f))).mul(up).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    /** at: gate, up, dy; dGate, dUp. */
    public static void swigluBack(long[] at, int n) {
        long g = at[0];
        long u = at[1];
        long dy = at[2];
        long dg = at[3];
        long du = at[4];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, g + 4L * i, ORDER);
            FloatVector s = broadcast(S, 1f).div(VMath.expQuick(v.neg()).add(broadcast(S, 1f)));
            FloatVector d = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER);
            FloatVector up = FloatVector.fromMemorySegment(S, ALL, u + 4L * i, ORDER);
            FloatVector slope = s.mul(v.fma(broadcast(S, 1f).sub(s), broadcast(S, 1f)));
            d.mul(up).mul(slope).intoMemorySegment(ALL, dg + 4L * i, ORDER);
            d.mul(v.mul(s)).intoMemorySegment(ALL, du + 4L * i, ORDER);
        }
    }

    /** at: x; y. */
    public static void geluTanh(long[] at, int n) {
        long x = at[0];
        long y = at[1];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector u = v.mul(v).fma(broadcast(S, -C), broadcast(S, -K)).mul(v);
            v.div(VMath.expQuick(u).add(broadcast(S, 1f))).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    /** at: x, dy; dx. With {@code w = 2u}: {@code s + x s (1 - s) w'}. */
    public static void geluTanhBack(long[] at, int n) {
        long x = at[0];
        long dy = at[1];
        long dx = at[2];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector z = square(v);
            FloatVector s = broadcast(S, 1f).div(VMath.expQuick(z.fma(broadcast(S, -C), broadcast(S, -K)).mul(v)).add(broadcast(S, 1f)));
            FloatVector w = z.fma(broadcast(S, 3 * C), broadcast(S, K)).mul(v);
            FloatVector slope = s.mul(w.fma(broadcast(S, 1f).sub(s), broadcast(S, 1f)));
            slope.mul(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER)).intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
    }

    /** at: gate, up; y. */
    public static void geglu(long[] at, int n) {
        long g = at[0];
        long up = at[1];
        long y = at[2];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, g + 4L * i, ORDER);
            FloatVector u = v.mul(v).fma(broadcast(S, -C), broadcast(S, -K)).mul(v);
            v.div(VMath.expQuick(u).add(broadcast(S, 1f))).mul(FloatVector.fromMemorySegment(S, ALL, up + 4L * i, ORDER))
                    .intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    /** at: gate, up, dy; dGate, dUp. */
    public static void gegluBack(long[] at, int n) {
        long g = at[0];
        long u = at[1];
        long dy = at[2];
        long dg = at[3];
        long du = at[4];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, g + 4L * i, ORDER);
            FloatVector z = square(v);
            FloatVector s = broadcast(S, 1f).div(VMath.expQuick(z.fma(broadcast(S, -C), broadcast(S, -K)).mul(v)).add(broadcast(S, 1f)));
            FloatVector w = z.fma(broadcast(S, 3 * C), broadcast(S, K)).mul(v);
            FloatVector slope = s.mul(w.fma(broadcast(S, 1f).sub(s), broadcast(S, 1f)));
            FloatVector d = FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER);
            d.mul(FloatVector.fromMemorySegment(S, ALL, u + 4L * i, ORDER)).mul(slope).intoMemorySegment(ALL, dg + 4L * i, ORDER);
            d.mul(v.mul(s)).intoMemorySegment(ALL, du + 4L * i, ORDER);
        }
    }

    private static FloatVector square(FloatVector v) {
        FloatVector z = v.mul(v);
        return z.blend(broadcast(S, FAR), z.compare(VectorOperators.GT, broadcast(S, FAR)));
    }
}
