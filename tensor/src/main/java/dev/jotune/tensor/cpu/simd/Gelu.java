package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static jdk.incubator.vector.FloatVector.broadcast;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * GELU with the error function, {@code x Phi(x)}, and its derivative {@code Phi(x) + x phi(x)}, in one pass over
 * {@code n} contiguous floats, n a multiple of the vector length. Both come from one exponential: with
 * {@code e = exp(-x^2 / 2)}, {@code phi = e / sqrt(2 pi)} and {@code Phi(-|x|) = e R(|x|)}, where R is a slowly falling
 * function: a polynomial of degree 6 in {@code 1 / (1 + 0.275 |x|)} meets it to 5e-9 of {@code 1 / e}. (The form is that
 * of Hastings' approximations, Abramowitz and Stegun 7.1.26; the numbers are a minimax fit of ours.) Far out e is 0, and
 * R stays below 1/2.
 */
public final class Gelu {
    private Gelu() {
    }

    /** at: x; y. */
    public static void forward(long[] at, int n) {
        long x = at[0];
        long y = at[1];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector a = v.abs();
            FloatVector p = VMath.expNegative(a.mul(a).mul(broadcast(S, -0.5f))).mul(ratio(a));
            FloatVector phi = broadcast(S, 1f).sub(p).blend(p, v.compare(VectorOperators.LT, broadcast(S, 0f)));
            v.mul(phi).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
    }

    /** at: x, dy; dx. */
    public static void back(long[] at, int n) {
        long x = at[0];
        long dy = at[1];
        long dx = at[2];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector a = v.abs();
            FloatVector e = VMath.expNegative(a.mul(a).mul(broadcast(S, -0.5f)));
            FloatVector p = e.mul(ratio(a));
            FloatVector phi = broadcast(S, 1f).sub(p).blend(p, v.compare(VectorOperators.LT, broadcast(S, 0f)));
            e.mul(broadcast(S, 0.3989422804f)).fma(v, phi).mul(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER))
                    .intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
    }

    private static FloatVector ratio(FloatVector a) {
        FloatVector t = broadcast(S, 1f).div(a.fma(broadcast(S, 0.275f), broadcast(S, 1f)));
        FloatVector r = t.fma(broadcast(S, -1.148582771e-01f), broadcast(S, 4.519984424e-01f));
        r = r.fma(t, broadcast(S, -3.309929967e-01f));
        r = r.fma(t, broadcast(S, 3.339319527e-01f));
        r = r.fma(t, broadcast(S, 4.211160913e-02f));
        return r.fma(t, broadcast(S, 1.178092360e-01f)).mul(t);
    }
}
