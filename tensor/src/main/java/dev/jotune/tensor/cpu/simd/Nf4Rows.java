package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import dev.jotune.tensor.quant.Nf4Matrix;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * {@link RowProduct} over NF4. The sixteen quantiles are one vector of 512 bits, in which codes select; narrower
 * machines decode row by row. Codes lie two in a byte, the first in the high half: x comes in pairs.
 */
final class Nf4Rows extends RowProduct {
    private static final int[] QUANTILES = quantiles();
    private static final float[] MAGNITUDES = Nf4Matrix.magnitudeCodes();

    private final long codes;
    private final long scales;
    private final float mean;
    private final long stride;

    private Nf4Rows(Nf4Matrix m) {
        super(m.rows(), Math.toIntExact(m.columns()), m.codes().address(), m.columns() / 2, null);
        codes = m.magnitudes().address();
        scales = m.scales().address();
        mean = m.mean();
        stride = m.columns() / 2;
    }

    static RowProduct of(Nf4Matrix m) {
        return L == 16 && m.columns() % Nf4Matrix.BLOCK == 0 ? new Nf4Rows(m) : new DecodedRows(m);
    }

    private static int[] quantiles() {
        float[] q = Nf4Matrix.quantiles();
        int[] bits = new int[q.length];
        for (int i = 0; i < q.length; i++) {
            bits[i] = Float.floatToRawIntBits(q[i]);
        }
        return bits;
    }

    @Override
    Input input() {
        return Input.PAIRS;
    }

    @Override
    void sums(int h, long x, long xs, long number, long row, int count, long sums) {
        int blocks = columns / Nf4Matrix.BLOCK;
        long magnitudes = Scratch.get(Scratch.GEMM_ROWS, 4L * blocks * count);
        for (int i = 0; i < blocks * count; i++) {
            long block = number * blocks + i;
            float scale = Mem.f32(scales + 4 * (block / Nf4Matrix.GROUP));
            Mem.f32(magnitudes + 4L * i, MAGNITUDES[Mem.i8(codes + block) & 0xff] * scale + mean);
        }
        if (h == 1) {
            rows(x, row, stride, magnitudes, blocks, count, sums);
        } else {
            rowsTall(x, xs, row, stride, magnitudes, blocks, count, sums);
        }
    }

    /** Rows times one row of x, a vector of sums each; a block of 64 in two halves. */
    private static void rows(long x, long w, long ws, long magnitudes, int blocks, int count, long out) {
        IntVector table = IntVector.fromArray(SI, QUANTILES, 0);
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            long p = 0;
            long q = w;
            for (int b = 0; b < 2 * blocks; b++) {
                FloatVector d = FloatVector.broadcast(S, Mem.f32(magnitudes));
                magnitudes += 4 * (b & 1);
                IntVector pairs = (IntVector) ByteVector.fromMemorySegment(ByteVector.SPECIES_128, ALL, q, ORDER)
                        .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                FloatVector v = pairs.lanewise(VectorOperators.LSHR, 4).selectFrom(table).reinterpretAsFloats().mul(d);
                c0 = FloatVector.fromMemorySegment(S, ALL, x + p, ORDER).fma(v, c0);
                v = pairs.and(15).selectFrom(table).reinterpretAsFloats().mul(d);
                c0 = FloatVector.fromMemorySegment(S, ALL, x + p + LB, ORDER).fma(v, c0);
                p += 2 * LB;
                q += 16;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #rows} for four rows of x. */
    private static void rowsTall(long x, long xs, long w, long ws, long magnitudes, int blocks, int count, long out) {
        IntVector table = IntVector.fromArray(SI, QUANTILES, 0);
        long x1 = x + xs;
        long x2 = x + 2 * xs;
        long x3 = x + 3 * xs;
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            FloatVector c2 = FloatVector.zero(S);
            FloatVector c3 = FloatVector.zero(S);
            long p = 0;
            long q = w;
            for (int b = 0; b < 2 * blocks; b++) {
                FloatVector d = FloatVector.broadcast(S, Mem.f32(magnitudes));
                magnitudes += 4 * (b & 1);
                IntVector pairs = (IntVector) ByteVector.fromMemorySegment(ByteVector.SPECIES_128, ALL, q, ORDER)
                        .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                FloatVector v = pairs.lanewise(VectorOperators.LSHR, 4).selectFrom(table).reinterpretAsFloats().mul(d);
                c0 = FloatVector.fromMemorySegment(S, ALL, x + p, ORDER).fma(v, c0);
                c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p, ORDER).fma(v, c1);
                c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p, ORDER).fma(v, c2);
                c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p, ORDER).fma(v, c3);
                v = pairs.and(15).selectFrom(table).reinterpretAsFloats().mul(d);
                c0 = FloatVector.fromMemorySegment(S, ALL, x + p + LB, ORDER).fma(v, c0);
                c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + LB, ORDER).fma(v, c1);
                c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + LB, ORDER).fma(v, c2);
                c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + LB, ORDER).fma(v, c3);
                p += 2 * LB;
                q += 16;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += RowProduct.TALL * LB;
            w += ws;
        }
    }
}
