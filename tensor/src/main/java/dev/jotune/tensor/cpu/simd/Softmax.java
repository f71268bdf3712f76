package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** Softmax of rows of {@code n} contiguous floats; row strides in elements, outputs may be their inputs. */
public final class Softmax {
    private Softmax() {
    }

    /** y = e^(x - max) / sum; a row that is -inf everywhere gives NaN, as its definition does. */
    public static void forward(long x, long xStride, long y, long yStride, long rows, int n) {
        Rows.run(rows, n, 4, (from, to) -> {
            for (long r = from; r < to; r++) {
                long in = x + 4 * xStride * r;
                long out = y + 4 * yStride * r;
                float sum = exp(in, out, n, Reduce.max(in, n));
                Arithmetic.mul(out, 1 / sum, out, n);
            }
        });
    }

    /** y = x - max - log(sum of e^(x - max)). */
    public static void logForward(long x, long xStride, long y, long yStride, long rows, int n) {
        Rows.run(rows, n, 4, (from, to) -> {
            for (long r = from; r < to; r++) {
                long in = x + 4 * xStride * r;
                float max = Reduce.max(in, n);
                Arithmetic.sub(in, (float) (max + Math.log(expSum(in, n, max))), y + 4 * yStride * r, n);
            }
        });
    }

    /** dx = y (dy - sum(y dy)). */
    public static void backward(long y, long yStride, long dy, long dyStride, long dx, long dxStride, long rows,
            int n) {
        Rows.run(rows, n, 2, (from, to) -> {
            for (long r = from; r < to; r++) {
                row(y + 4 * yStride * r, dy + 4 * dyStride * r, dx + 4 * dxStride * r, n);
            }
        });
    }

    private static void row(long y, long dy, long dx, int n) {
        float dot = Reduce.dot(y, dy, n);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector.fromMemorySegment(S, ALL, dy + 4L * i, ORDER).sub(dot)
                    .mul(FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER))
                    .intoMemorySegment(ALL, dx + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(dx + 4L * i, Mem.f32(y + 4L * i) * (Mem.f32(dy + 4L * i) - dot));
        }
    }

    /** y = e^(x - shift); returns the sum. */
    static float exp(long x, long y, int n, float shift) {
        FloatVector sum = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector e = VMath.exp(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(shift));
            e.intoMemorySegment(ALL, y + 4L * i, ORDER);
            sum = sum.add(e);
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector e = VMath.exp(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail).sub(shift));
            e.intoMemorySegment(ALL, y + 4L * i, ORDER, tail);
            sum = sum.add(e, tail);
        }
        return sum.reduceLanes(VectorOperators.ADD);
    }

    /** Sum of e^(x - shift). */
    static float expSum(long x, int n, float shift) {
        FloatVector sum = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - L; i += L) {
            sum = sum.add(VMath.exp(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(shift)));
        }
        if (i < n) {
            VectorMask<Float> tail = S.indexInRange(i, n);
            FloatVector e = VMath.exp(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER, tail).sub(shift));
            sum = sum.add(e, tail);
        }
        return sum.reduceLanes(VectorOperators.ADD);
    }
}
