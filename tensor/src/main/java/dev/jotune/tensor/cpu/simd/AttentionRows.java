package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** Passes over one row of an attention tile; {@code n} is a multiple of the vector length. */
final class AttentionRows {
    private AttentionRows() {
    }

    static float max(long row, int n) {
        FloatVector max = FloatVector.broadcast(S, Float.NEGATIVE_INFINITY);
        for (int j = 0; j < n; j += L) {
            FloatVector x = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
            // Compare and blend: FloatVector.max takes six instructions to order NaN and -0.
            max = max.blend(x, x.compare(VectorOperators.GT, max));
            row += LB;
        }
        return max.reduceLanes(VectorOperators.MAX);
    }

    /** row = e^(row - shift); returns the sum. */
    static float expSum(long row, int n, float shift) {
        FloatVector sum = FloatVector.zero(S);
        for (int j = 0; j < n; j += L) {
            FloatVector e = VMath.exp(FloatVector.fromMemorySegment(S, ALL, row, ORDER).sub(shift));
            e.intoMemorySegment(ALL, row, ORDER);
            sum = sum.add(e);
            row += LB;
        }
        return Lanes.sum(sum);
    }

    static void fill(long row, int n, float value) {
        for (int j = 0; j < n; j += L) {
            FloatVector.broadcast(S, value).intoMemorySegment(ALL, row, ORDER);
            row += LB;
        }
    }

    static void scale(long row, int n, float factor) {
        for (int j = 0; j < n; j += L) {
            FloatVector.fromMemorySegment(S, ALL, row, ORDER).mul(factor).intoMemorySegment(ALL, row, ORDER);
            row += LB;
        }
    }

    /** row += other. */
    static void add(long row, long other, int n) {
        for (int j = 0; j < n; j += L) {
            FloatVector.fromMemorySegment(S, ALL, row, ORDER)
                    .add(FloatVector.fromMemorySegment(S, ALL, other, ORDER)).intoMemorySegment(ALL, row, ORDER);
            row += LB;
            other += LB;
        }
    }

    /** row = c tanh(row / c). */
    static void softcap(long row, int n, float c) {
        for (int j = 0; j < n; j += L) {
            VMath.tanh(FloatVector.fromMemorySegment(S, ALL, row, ORDER).div(c)).mul(c)
                    .intoMemorySegment(ALL, row, ORDER);
            row += LB;
        }
    }

    /** dp = dp (1 - (capped / c)^2): the derivative of {@link #softcap}, given its result. */
    static void softcapGradient(long dp, long capped, int n, float c) {
        for (int j = 0; j < n; j += L) {
            FloatVector t = FloatVector.fromMemorySegment(S, ALL, capped, ORDER).div(c);
            FloatVector slope = FloatVector.broadcast(S, 1f).sub(t.mul(t));
            FloatVector.fromMemorySegment(S, ALL, dp, ORDER).mul(slope).intoMemorySegment(ALL, dp, ORDER);
            dp += LB;
            capped += LB;
        }
    }

    /** Copies {@code n} floats times {@code factor} (any n) and pads with zeros to {@code padded}. */
    static void copyScaled(long from, long to, int n, int padded, float factor) {
        int j = 0;
        for (; j + L <= n; j += L) {
            FloatVector.fromMemorySegment(S, ALL, from + 4L * j, ORDER).mul(factor)
                    .intoMemorySegment(ALL, to + 4L * j, ORDER);
        }
        for (; j < n; j++) {
            Mem.f32(to + 4L * j, Mem.f32(from + 4L * j) * factor);
        }
        for (; j < padded; j++) {
            Mem.f32(to + 4L * j, 0);
        }
    }

    /** Sum of products of {@code n} floats (any n). */
    static float dot(long x, long y, int n) {
        FloatVector sum = FloatVector.zero(S);
        int j = 0;
        for (; j + L <= n; j += L) {
            sum = FloatVector.fromMemorySegment(S, ALL, x + 4L * j, ORDER)
                    .fma(FloatVector.fromMemorySegment(S, ALL, y + 4L * j, ORDER), sum);
        }
        float total = Lanes.sum(sum);
        for (; j < n; j++) {
            total += Mem.f32(x + 4L * j) * Mem.f32(y + 4L * j);
        }
        return total;
    }
}
