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
 * function that a polynomial of degree 11 meets to 2e-8 of {@code 1 / e}. Phi is right to 7e-8.
 */
public final class Gelu {
    /** Where e is 0 in floats; further out R's polynomial would leave their range. */
    private static final float FAR = 14;

    private Gelu() {
    }

    /** at: x; y. */
    public static void forward(long[] at, int n) {
        long x = at[0];
        long y = at[1];
        for (int i = 0; i < n; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector a = magnitude(v);
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
            FloatVector a = magnitude(v);
            FloatVector e = VMath.expNegative(a.mul(a).mul(broadcast(S, -0.5f)));
            FloatVector p = e.mul(ratio(a));
            FloatVector phi = broadcast(S, 1f).sub(p).blend(p, v.compare(VectorOperators.LT, broadcast(S, 0f)));
            e.mul(broadcast(S, 0.3989422804f)).fma(v, phi).mul(FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER))
                    .intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
    }

    private static FloatVector magnitude(FloatVector v) {
        FloatVector a = v.abs();
        return a.blend(broadcast(S, FAR), a.compare(VectorOperators.GT, broadcast(S, FAR)));
    }

    private static FloatVector ratio(FloatVector a) {
        FloatVector r = a.fma(broadcast(S, -3.155458614e-07f), broadcast(S, 7.708836165e-06f));
        r = r.fma(a, broadcast(S, -8.477149095e-05f));
        r = r.fma(a, broadcast(S, 5.636551650e-04f));
        r = r.fma(a, broadcast(S, -2.590097720e-03f));
        r = r.fma(a, broadcast(S, 9.003861807e-03f));
        r = r.fma(a, broadcast(S, -2.547183447e-02f));
        r = r.fma(a, broadcast(S, 6.192394719e-02f));
        r = r.fma(a, broadcast(S, -1.328057945e-01f));
        r = r.fma(a, broadcast(S, 2.499725670e-01f));
        r = r.fma(a, broadcast(S, -3.989405930e-01f));
        return r.fma(a, broadcast(S, 4.999999702e-01f));
    }
}
