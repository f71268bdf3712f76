package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Functions of one variable over {@code n} contiguous floats, {@code y = f(x)}; y may be x. Tails run the same
 * code under a mask, so but for sin and cos a result does not depend on the element's place.
 */
public final class Unary {
    /** Elements of the error function at a time. */
    private static final int ERF = 256;

    private Unary() {
    }

    /** -x. */
    public static void neg(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.neg().intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.neg().intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** |x|. */
    public static void abs(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.abs().intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.abs().intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** Square root. */
    public static void sqrt(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.sqrt().intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.sqrt().intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** 1 / sqrt(x). */
    public static void rsqrt(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.broadcast(S, 1f).div(a.sqrt()).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.broadcast(S, 1f).div(a.sqrt()).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** 1 / x. */
    public static void reciprocal(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.broadcast(S, 1f).div(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.broadcast(S, 1f).div(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** -1, 0 or 1; NaN stays. */
    public static void sign(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.blend(1f, a.compare(VectorOperators.GT, 0f)).blend(-1f, a.compare(VectorOperators.LT, 0f))
                    .intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.blend(1f, a.compare(VectorOperators.GT, 0f)).blend(-1f, a.compare(VectorOperators.LT, 0f))
                    .intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** Largest integer not above x. */
    public static void floor(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.floor(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            VMath.floor(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** e^x. */
    public static void exp(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.exp(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            VMath.exp(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** Natural logarithm. */
    public static void log(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.log(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            VMath.log(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** log(1 + x). */
    public static void log1p(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.log1p(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            VMath.log1p(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** Hyperbolic tangent. */
    public static void tanh(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.tanh(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            VMath.tanh(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** 1 / (1 + e^-x). */
    public static void sigmoid(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            VMath.sigmoid(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            VMath.sigmoid(a).intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
        }
    }

    /** Sine of radians; arguments beyond 10^4 are computed one by one in double. */
    public static void sin(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            if (a.abs().compare(VectorOperators.LE, VMath.MAX_ANGLE).allTrue()) {
                VMath.sin(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
            } else {
                scalarSine(x + 4L * i, y + 4L * i, L);
            }
        }
        scalarSine(x + 4L * i, y + 4L * i, n - i);
    }

    private static void scalarSine(long x, long y, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(y + 4L * i, (float) Math.sin(Mem.f32(x + 4L * i)));
        }
    }

    /** Cosine of radians; arguments beyond 10^4 are computed one by one in double. */
    public static void cos(long x, long y, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            if (a.abs().compare(VectorOperators.LE, VMath.MAX_ANGLE).allTrue()) {
                VMath.cos(a).intoMemorySegment(ALL, y + 4L * i, ORDER);
            } else {
                scalarCosine(x + 4L * i, y + 4L * i, L);
            }
        }
        scalarCosine(x + 4L * i, y + 4L * i, n - i);
    }

    private static void scalarCosine(long x, long y, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(y + 4L * i, (float) Math.cos(Mem.f32(x + 4L * i)));
        }
    }

    /** Error function. */
    public static void erf(long x, long y, int n) {
        long rest = Scratch.get(Scratch.UNARY, 8L * ERF);
        long far = rest + 4L * ERF;
        for (int i = 0; i < n; i += ERF) {
            int count = Math.min(ERF, n - i);
            int padded = (count + L - 1) / L * L;
            Convert.f32ToF32(x + 4L * i, rest, count);
            // Three passes in L1: in one loop the compiler runs out of inlining and makes objects of the vectors.
            erfExponent(rest, far, padded);
            exp(far, far, padded);
            erfParts(rest, far, padded);
            Convert.f32ToF32(far, y + 4L * i, count);
        }
    }

    private static void erfExponent(long x, long far, int n) {
        for (int i = 0; i < n; i += L) {
            VMath.erfExponent(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER))
                    .intoMemorySegment(ALL, far + 4L * i, ORDER);
        }
    }

    private static void erfParts(long x, long far, int n) {
        for (int i = 0; i < n; i += L) {
            VMath.erfParts(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER),
                    FloatVector.fromMemorySegment(S, ALL, far + 4L * i, ORDER))
                    .intoMemorySegment(ALL, far + 4L * i, ORDER);
        }
    }
}
