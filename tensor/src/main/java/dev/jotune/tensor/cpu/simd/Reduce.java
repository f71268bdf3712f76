package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Reductions of {@code n} contiguous floats. The order of summation depends on n alone. */
public final class Reduce {
    private Reduce() {
    }

    /** Sum, with four vectors of partial sums; 0 if n is 0. */
    public static float sum(long x, int n) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (; i <= n - 4 * L; i += 4 * L) {
            a = a.add(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER));
            b = b.add(FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER));
            c = c.add(FloatVector.fromMemorySegment(S, ALL, x + 4L * i + 2L * LB, ORDER));
            d = d.add(FloatVector.fromMemorySegment(S, ALL, x + 4L * i + 3L * LB, ORDER));
        }
        for (; i <= n - L; i += L) {
            a = a.add(FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER));
        }
        float total = Lanes.sum(a.add(b).add(c.add(d)));
        for (; i < n; i++) {
            total += Mem.f32(x + 4L * i);
        }
        return total;
    }

    /** Sum of products. */
    public static float dot(long x, long y, int n) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        int i = 0;
        for (; i <= n - 2 * L; i += 2 * L) {
            a = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER)
                    .fma(FloatVector.fromMemorySegment(S, ALL, y + 4L * i, ORDER), a);
            b = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER)
                    .fma(FloatVector.fromMemorySegment(S, ALL, y + 4L * i + LB, ORDER), b);
        }
        float total = Lanes.sum(a.add(b));
        for (; i < n; i++) {
            total += Mem.f32(x + 4L * i) * Mem.f32(y + 4L * i);
        }
        return total;
    }

    /** Sum of {@code (x - shift)^2}. */
    public static float squares(long x, float shift, int n) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = a;
        int i = 0;
        for (; i <= n - 2 * L; i += 2 * L) {
            FloatVector u = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER).sub(shift);
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i + LB, ORDER).sub(shift);
            a = u.fma(u, a);
            b = v.fma(v, b);
        }
        float total = Lanes.sum(a.add(b));
        for (; i < n; i++) {
            float u = Mem.f32(x + 4L * i) - shift;
            total += u * u;
        }
        return total;
    }

    /** Largest element, NaN if there is one; -inf if n is 0. */
    public static float max(long x, int n) {
        FloatVector max = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
        FloatVector sum = FloatVector.zero(S);
        int i = 0;
        for (; i <= n - L; i += L) {
            FloatVector v = FloatVector.fromMemorySegment(S, ALL, x + 4L * i, ORDER);
            max = max.blend(v, v.compare(VectorOperators.GT, max));
            // 0 x is NaN for NaN (and infinities, which the last step tells apart).
            sum = v.fma(FloatVector.zero(S), sum);
        }
        float best = max.reduceLanes(VectorOperators.MAX);
        if (Float.isNaN(Lanes.sum(sum))) {
            i = 0;
        }
        for (; i < n; i++) {
            best = Math.max(best, Mem.f32(x + 4L * i));
        }
        return best;
    }
}
