package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import dev.jotune.tensor.quant.BlockMatrix;
import java.util.stream.IntStream;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** {@link RowProduct} over ggml's blocks of 32. Four rows of x meet each number as the definition makes it; one row meets its codes. */
final class BlockRows {
    /** As many bytes as a float vector has lanes: vectors of at least 256 bits. */
    static final VectorSpecies<Byte> BYTES = L >= 16 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;
    /** The values of a half byte less 8, as bits of floats: a vector of 512 bits, in which codes select. */
    private static final int[] HALVES = IntStream.range(-8, 8).map(i -> Float.floatToRawIntBits(i)).toArray();

    private BlockRows() {
    }

    static RowProduct of(BlockMatrix m) {
        if (L < 8) {
            return new DecodedRows(m);
        }
        return switch (m.blocks()) {
            case Q8_0 -> new Q8(m);
            case Q4_0 -> new Q4(m);
            case Q4_1 -> new Q4Min(m);
            case Q4_K -> new SuperRows.Q4(m);
            case Q6_K -> new SuperRows.Q6(m);
            default -> new DecodedRows(m);
        };
    }

    /** What all formats share. */
    abstract static class Blocks extends RowProduct {
        final long stride;
        final int blocks;

        Blocks(BlockMatrix m) {
            super(m.rows(), Math.toIntExact(m.columns()), m.stored().address(), m.blocks().rowBytes(m.columns()), m.order().orElse(null));
            stride = m.blocks().rowBytes(m.columns());
            blocks = columns / m.blocks().elements();
        }

    }

    /** A half-precision scale and 32 signed bytes. Codes are summed first and scaled once, as in the other formats. */
    private static void q8(long x, long w, long ws, int blocks, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int b = 0; b < blocks; b++) {
                p &= Mem.IN;
                q &= Mem.IN;
                FloatVector sum = FloatVector.zero(S);
                for (int j = 0; j < 32; j += L) {
                    FloatVector v = (FloatVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 2 + j, ORDER)
                            .convertShape(VectorOperators.B2F, S, 0);
                    sum = FloatVector.fromMemorySegment(S, ALL, p + 4L * j, ORDER).fma(v, sum);
                }
                c0 = sum.fma(FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q))), c0);
                p += 4L * 32;
                q += 34;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #q8} for four rows of x. */
    private static void q8Tall(long x, long xs, long w, long ws, int blocks, int count, long out) {
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
            for (int b = 0; b < blocks; b++) {
                FloatVector d = FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q)));
                for (int j = 0; j < 32; j += L) {
                    FloatVector v = ((FloatVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 2 + j, ORDER)
                            .convertShape(VectorOperators.B2F, S, 0)).mul(d);
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * j, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * j, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * j, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * j, ORDER).fma(v, c3);
                }
                p += 4L * 32;
                q += 34;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += RowProduct.TALL * LB;
            w += ws;
        }
    }

    /** A half-precision scale and 16 bytes, low halves first, less 8. */
    private static void q4(long x, long w, long ws, int blocks, int count, long out) {
        IntVector table = IntVector.fromArray(SI, HALVES, 0);
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int b = 0; b < blocks; b++) {
                p &= Mem.IN;
                q &= Mem.IN;
                FloatVector sum = FloatVector.zero(S);
                for (int j = 0; j < 16; j += L) {
                    IntVector codes = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 2 + j, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    FloatVector low = L == 16 ? codes.selectFrom(table).reinterpretAsFloats()
                            : (FloatVector) codes.and(15).sub(8).convertShape(VectorOperators.I2F, S, 0);
                    codes = codes.lanewise(VectorOperators.LSHR, 4);
                    FloatVector high = L == 16 ? codes.selectFrom(table).reinterpretAsFloats()
                            : (FloatVector) codes.sub(8).convertShape(VectorOperators.I2F, S, 0);
                    sum = FloatVector.fromMemorySegment(S, ALL, p + 4L * j, ORDER).fma(low, sum);
                    sum = FloatVector.fromMemorySegment(S, ALL, p + 4L * (j + 16), ORDER).fma(high, sum);
                }
                c0 = sum.fma(FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q))), c0);
                p += 4L * 32;
                q += 18;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #q4} for four rows of x. */
    private static void q4Tall(long x, long xs, long w, long ws, int blocks, int count, long out) {
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
            for (int b = 0; b < blocks; b++) {
                FloatVector d = FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q)));
                for (int j = 0; j < 16; j += L) {
                    IntVector codes = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 2 + j, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    FloatVector v = ((FloatVector) codes.and(15).sub(8).convertShape(VectorOperators.I2F, S, 0)).mul(d);
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * j, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * j, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * j, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * j, ORDER).fma(v, c3);
                    v = ((FloatVector) codes.lanewise(VectorOperators.LSHR, 4).sub(8).convertShape(VectorOperators.I2F, S, 0)).mul(d);
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * (j + 16), ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * (j + 16), ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * (j + 16), ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * (j + 16), ORDER).fma(v, c3);
                }
                p += 4L * 32;
                q += 18;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += RowProduct.TALL * LB;
            w += ws;
        }
    }

    /** A scale, a minimum, and 16 bytes. */
    private static void q4Min(long x, long w, long ws, int blocks, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int b = 0; b < blocks; b++) {
                p &= Mem.IN;
                q &= Mem.IN;
                FloatVector sum = FloatVector.zero(S);
                FloatVector plain = FloatVector.zero(S);
                for (int j = 0; j < 16; j += L) {
                    IntVector codes = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 4 + j, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    FloatVector low = FloatVector.fromMemorySegment(S, ALL, p + 4L * j, ORDER);
                    FloatVector high = FloatVector.fromMemorySegment(S, ALL, p + 4L * (j + 16), ORDER);
                    sum = low.fma((FloatVector) codes.and(15).convertShape(VectorOperators.I2F, S, 0), sum);
                    sum = high.fma((FloatVector) codes.lanewise(VectorOperators.LSHR, 4).convertShape(VectorOperators.I2F, S, 0), sum);
                    plain = plain.add(low.add(high));
                }
                c0 = sum.fma(FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q))), c0);
                c0 = plain.fma(FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q + 2))), c0);
                p += 4L * 32;
                q += 20;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #q4Min} for four rows of x. */
    private static void q4MinTall(long x, long xs, long w, long ws, int blocks, int count, long out) {
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
            for (int b = 0; b < blocks; b++) {
                FloatVector d = FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q)));
                FloatVector m = FloatVector.broadcast(S, Float.float16ToFloat(Mem.i16(q + 2)));
                for (int j = 0; j < 16; j += L) {
                    IntVector codes = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 4 + j, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    FloatVector v = ((FloatVector) codes.and(15).convertShape(VectorOperators.I2F, S, 0)).mul(d).add(m);
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * j, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * j, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * j, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * j, ORDER).fma(v, c3);
                    v = ((FloatVector) codes.lanewise(VectorOperators.LSHR, 4).convertShape(VectorOperators.I2F, S, 0)).mul(d).add(m);
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * (j + 16), ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * (j + 16), ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * (j + 16), ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * (j + 16), ORDER).fma(v, c3);
                }
                p += 4L * 32;
                q += 20;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += RowProduct.TALL * LB;
            w += ws;
        }
    }

    static final class Q8 extends Blocks {
        Q8(BlockMatrix m) {
            super(m);
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            if (h == 1) {
                q8(x, row, stride, blocks, count, sums);
            } else {
                q8Tall(x, xs, row, stride, blocks, count, sums);
            }
        }
    }

    static final class Q4 extends Blocks {
        Q4(BlockMatrix m) {
            super(m);
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            if (h == 1) {
                q4(x, row, stride, blocks, count, sums);
            } else {
                q4Tall(x, xs, row, stride, blocks, count, sums);
            }
        }
    }

    static final class Q4Min extends Blocks {
        Q4Min(BlockMatrix m) {
            super(m);
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            if (h == 1) {
                q4Min(x, row, stride, blocks, count, sums);
            } else {
                q4MinTall(x, xs, row, stride, blocks, count, sums);
            }
        }
    }
}
