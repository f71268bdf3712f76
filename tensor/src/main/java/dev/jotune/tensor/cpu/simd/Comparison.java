package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Comparisons over {@code n} contiguous floats giving 1 or 0, where x or y may be one number; out may be an operand.
 * A comparison with NaN is false, but not-equal is true.
 */
public final class Comparison {
    private Comparison() {
    }

    /** 1 where x is below y. */
    public static void lt(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LT, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LT, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is below y. */
    public static void lt(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LT, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LT, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is below y. */
    public static void lt(float x, long y, long out, int n) {
        gt(y, x, out, n);
    }

    /** 1 where x is not above y. */
    public static void le(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LE, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LE, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is not above y. */
    public static void le(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LE, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.LE, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is not above y. */
    public static void le(float x, long y, long out, int n) {
        ge(y, x, out, n);
    }

    /** 1 where x is above y. */
    public static void gt(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GT, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GT, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is above y. */
    public static void gt(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GT, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GT, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is above y. */
    public static void gt(float x, long y, long out, int n) {
        lt(y, x, out, n);
    }

    /** 1 where x is not below y. */
    public static void ge(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GE, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GE, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is not below y. */
    public static void ge(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GE, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.GE, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where x is not below y. */
    public static void ge(float x, long y, long out, int n) {
        le(y, x, out, n);
    }

    /** 1 where equal. */
    public static void eq(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.EQ, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.EQ, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where equal. */
    public static void eq(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.EQ, b)).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector.zero(S).blend(1f, a.compare(VectorOperators.EQ, b))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** 1 where equal. */
    public static void eq(float x, long y, long out, int n) {
        eq(y, x, out, n);
    }
}
