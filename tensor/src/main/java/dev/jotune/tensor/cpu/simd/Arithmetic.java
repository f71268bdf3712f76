package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Arithmetic over {@code n} contiguous floats, {@code out = x op y}, where x or y may be one number; out may be an
 * operand.
 */
public final class Arithmetic {
    private Arithmetic() {
    }

    /** x + y. */
    public static void add(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.add(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.add(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x + y. */
    public static void add(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.add(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.add(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x + y. */
    public static void add(float x, long y, long out, int n) {
        add(y, x, out, n);
    }

    /** x - y. */
    public static void sub(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.sub(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.sub(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x - y. */
    public static void sub(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.sub(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.sub(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x - y. */
    public static void sub(float x, long y, long out, int n) {
        FloatVector a = FloatVector.broadcast(S, x);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.sub(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.sub(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x y. */
    public static void mul(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.mul(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.mul(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x y. */
    public static void mul(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.mul(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.mul(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x y. */
    public static void mul(float x, long y, long out, int n) {
        mul(y, x, out, n);
    }

    /** x / y. */
    public static void div(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.div(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.div(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x / y. */
    public static void div(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.div(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.div(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** x / y. */
    public static void div(float x, long y, long out, int n) {
        FloatVector a = FloatVector.broadcast(S, x);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.div(b).intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.div(b).intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** The larger one, or NaN if either is. */
    public static void max(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.blend(b, b.compare(VectorOperators.GT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.blend(b, b.compare(VectorOperators.GT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** The larger one, or NaN if either is. */
    public static void max(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.blend(b, b.compare(VectorOperators.GT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.blend(b, b.compare(VectorOperators.GT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** The larger one, or NaN if either is. */
    public static void max(float x, long y, long out, int n) {
        max(y, x, out, n);
    }

    /** The smaller one, or NaN if either is. */
    public static void min(long x, long y, long out, int n) {
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER);
            a.blend(b, b.compare(VectorOperators.LT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER, tail);
            a.blend(b, b.compare(VectorOperators.LT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** The smaller one, or NaN if either is. */
    public static void min(long x, float y, long out, int n) {
        FloatVector b = FloatVector.broadcast(S, y);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            a.blend(b, b.compare(VectorOperators.LT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail);
            a.blend(b, b.compare(VectorOperators.LT, a)).blend(b, b.test(VectorOperators.IS_NAN))
                    .intoMemorySegment(ALL, out + 4L * i, ORDER, tail);
        }
    }

    /** The smaller one, or NaN if either is. */
    public static void min(float x, long y, long out, int n) {
        min(y, x, out, n);
    }

    /** x to the power y, one by one in double. */
    public static void pow(long x, long y, long out, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(out + 4L * i, (float) Math.pow(Mem.f32(x + 4L * i), Mem.f32(y + 4L * i)));
        }
    }

    /** x to the power y, one by one in double. */
    public static void pow(long x, float y, long out, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(out + 4L * i, (float) Math.pow(Mem.f32(x + 4L * i), y));
        }
    }

    /** x to the power y, one by one in double. */
    public static void pow(float x, long y, long out, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(out + 4L * i, (float) Math.pow(x, Mem.f32(y + 4L * i)));
        }
    }

    /** Sets {@code n} floats to one value. */
    public static void fill(float value, long out, int n) {
        int i = 0;
        FloatVector a = FloatVector.broadcast(S, value);
        for (; i <= n - L; i += L) {
            a.intoMemorySegment(ALL, out + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(out + 4L * i, value);
        }
    }
}
