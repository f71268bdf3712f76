package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.quant.SignMatrix;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * {@link RowProduct} over a bit a number. The bits of a vector are a mask that chooses between +1 and -1, and the multiply-add
 * with that is exact: one mask, one blend for all rows of x, one multiply-add each.
 */
final class SignRows extends RowProduct {
    private final long stride;

    private SignRows(SignMatrix m) {
        super(m.rows(), Math.toIntExact(m.columns()), m.bits().address(), SignMatrix.rowBytes(m.columns()), null);
        stride = SignMatrix.rowBytes(m.columns());
    }

    static RowProduct of(SignMatrix m) {
        return new SignRows(m);
    }

    @Override
    void sums(int h, long x, long xs, long number, long row, int count, long sums) {
        if (h == 1) {
            rows(x, row, stride, columns / L, count, sums);
        } else {
            rowsTall(x, xs, row, stride, columns / L, count, sums);
        }
    }

    /** The signs of vector v of the row at w. */
    private static FloatVector signs(long w, int v, FloatVector minus, FloatVector plus) {
        long bits = switch (L) {
            case 16 -> Mem.i16(w + 2L * v) & 0xffff;
            case 8 -> Mem.i8(w + v) & 0xff;
            default -> Mem.i8(w + v / 2) >>> 4 * (v & 1) & 0xf;
        };
        return minus.blend(plus, VectorMask.fromLong(S, bits));
    }

    /** Rows times one row of x, a vector of sums each. */
    private static void rows(long x, long w, long ws, int vectors, int count, long out) {
        FloatVector minus = FloatVector.broadcast(S, -1);
        FloatVector plus = FloatVector.broadcast(S, 1);
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            for (int v = 0; v < vectors; v++) {
                c0 = FloatVector.fromMemorySegment(S, ALL, x + (long) LB * v, ORDER).fma(signs(w, v, minus, plus), c0);
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #rows} for four rows of x. */
    private static void rowsTall(long x, long xs, long w, long ws, int vectors, int count, long out) {
        FloatVector minus = FloatVector.broadcast(S, -1);
        FloatVector plus = FloatVector.broadcast(S, 1);
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            FloatVector c2 = FloatVector.zero(S);
            FloatVector c3 = FloatVector.zero(S);
            for (int v = 0; v < vectors; v++) {
                FloatVector s = signs(w, v, minus, plus);
                long p = x + (long) LB * v;
                c0 = FloatVector.fromMemorySegment(S, ALL, p, ORDER).fma(s, c0);
                c1 = FloatVector.fromMemorySegment(S, ALL, p + xs, ORDER).fma(s, c1);
                c2 = FloatVector.fromMemorySegment(S, ALL, p + 2 * xs, ORDER).fma(s, c2);
                c3 = FloatVector.fromMemorySegment(S, ALL, p + 3 * xs, ORDER).fma(s, c3);
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += (long) TALL * LB;
            w += ws;
        }
    }

    @Override
    boolean hasTail() {
        return columns % L != 0;
    }

    @Override
    float tail(float sum, long x, long row) {
        float total = sum;
        for (int c = columns / L * L; c < columns; c++) {
            float v = Mem.f32(x + 4L * c);
            total += (Mem.i8(row + c / Byte.SIZE) >>> c % Byte.SIZE & 1) == 0 ? -v : v;
        }
        return total;
    }
}
