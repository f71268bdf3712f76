package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link RowProduct} over floating types. One sum a row: several rows are under way at once anyway, for the processor
 * runs ahead of a chain of multiply-adds into the next row.
 */
final class DenseRows {
    private static final VectorSpecies<Short> SH =
            L == 16 ? ShortVector.SPECIES_256 : L == 8 ? ShortVector.SPECIES_128 : ShortVector.SPECIES_64;
    /** From the exponent of a half to that of a float. */
    private static final float HALF_BIAS = 0x1p112f;

    private DenseRows() {
    }

    /** {@code count} rows times one row of x, a vector of sums each. */
    static void f32(long x, long w, long ws, int steps, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int i = 0; i < steps; i++) {
                c = FloatVector.fromMemorySegment(S, ALL, p, ORDER).fma(FloatVector.fromMemorySegment(S, ALL, q, ORDER), c);
                p += LB;
                q += LB;
            }
            c.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #f32} for BF16 in pairs: the low half of an int shifted up is the even number, the high half the odd one. */
    static void bf16(long x, long w, long ws, int steps, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int i = 0; i < steps; i++) {
                IntVector b = IntVector.fromMemorySegment(SI, ALL, q, ORDER);
                c = FloatVector.fromMemorySegment(S, ALL, p, ORDER).fma(b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats(), c);
                c = FloatVector.fromMemorySegment(S, ALL, p + LB, ORDER).fma(b.and(0xffff0000).reinterpretAsFloats(), c);
                p += 2 * LB;
                q += LB;
            }
            c.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #f32} for F16: shifted into place and scaled, infinities and NaN mended. */
    static void f16(long x, long w, long ws, int steps, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int i = 0; i < steps; i++) {
                IntVector b = (IntVector) ShortVector.fromMemorySegment(SH, ALL, q, ORDER)
                        .convertShape(VectorOperators.ZERO_EXTEND_S2I, SI, 0);
                IntVector magnitude = b.and(0x7fff).lanewise(VectorOperators.LSHL, 13);
                IntVector scaled = magnitude.reinterpretAsFloats().mul(HALF_BIAS).reinterpretAsInts();
                VectorMask<Integer> special = magnitude.compare(VectorOperators.GE, 0x7c00 << 13);
                scaled = scaled.blend(scaled.or(0x7f800000), special).or(b.and(0x8000).lanewise(VectorOperators.LSHL, 16));
                c = FloatVector.fromMemorySegment(S, ALL, p, ORDER).fma(scaled.reinterpretAsFloats(), c);
                p += LB;
                q += LB / 2;
            }
            c.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** Rows of x one after the other: for several at once a dense weight has {@link DotTiles}. */
    private abstract static class Dense extends RowProduct {
        final long stride;

        Dense(long rows, int columns, long address, long rowBytes) {
            super(rows, columns, address, rowBytes, null);
            stride = rowBytes;
        }
    }

    static final class F32 extends Dense {
        F32(long rows, int columns, long address, long rowBytes) {
            super(rows, columns, address, rowBytes);
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            if (h == 1) {
                f32(x, row, stride, columns / L, count, sums);
                return;
            }
            for (int j = 0; j < count; j++) {
                // Roles exchanged: the weight's row meets h rows of x.
                f32(row + stride * j, x, xs, columns / L, h, sums + (long) h * LB * j);
            }
        }

        @Override
        boolean hasTail() {
            return columns % L != 0;
        }

        @Override
        float tail(float sum, long x, long row) {
            float all = sum;
            for (int p = columns / L * L; p < columns; p++) {
                all += Mem.f32(x + 4L * p) * Mem.f32(row + 4L * p);
            }
            return all;
        }
    }

    static final class Bf16 extends Dense {
        Bf16(long rows, int columns, long address, long rowBytes) {
            super(rows, columns, address, rowBytes);
        }

        @Override
        Input input() {
            return Input.PAIRS;
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            for (int j = 0; h > 1 && j < count; j++) {
                for (int i = 0; i < h; i++) {
                    bf16(x + xs * i, row + stride * j, 0, columns / (2 * L), 1, sums + (long) LB * (h * j + i));
                }
            }
            if (h == 1) {
                bf16(x, row, stride, columns / (2 * L), count, sums);
            }
        }

        @Override
        boolean hasTail() {
            return columns % (2 * L) != 0;
        }

        @Override
        float tail(float sum, long x, long row) {
            float all = sum;
            for (int p = columns / (2 * L) * (2 * L); p < columns; p++) {
                all += Mem.f32(x + 4L * p) * Float.intBitsToFloat(Mem.i16(row + 2L * p) << 16);
            }
            return all;
        }
    }

    static final class F16 extends Dense {
        F16(long rows, int columns, long address, long rowBytes) {
            super(rows, columns, address, rowBytes);
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            for (int j = 0; h > 1 && j < count; j++) {
                for (int i = 0; i < h; i++) {
                    f16(x + xs * i, row + stride * j, 0, columns / L, 1, sums + (long) LB * (h * j + i));
                }
            }
            if (h == 1) {
                f16(x, row, stride, columns / L, count, sums);
            }
        }

        @Override
        boolean hasTail() {
            return columns % L != 0;
        }

        @Override
        float tail(float sum, long x, long row) {
            float all = sum;
            for (int p = columns / L * L; p < columns; p++) {
                all += Mem.f32(x + 4L * p) * Float.float16ToFloat(Mem.i16(row + 2L * p));
            }
            return all;
        }
    }
}
