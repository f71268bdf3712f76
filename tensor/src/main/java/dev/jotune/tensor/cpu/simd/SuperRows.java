package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.BlockRows.BYTES;
import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import dev.jotune.tensor.quant.BlockMatrix;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** {@link RowProduct} over the super-blocks of 256. Four rows of x meet each number as the definition makes it; one row may meet codes. */
final class SuperRows {
    private SuperRows() {
    }

    /** The six-bit scales of eight sub-blocks, a byte each, from the 12 bytes that scales and minima share. */
    private static long scales(long at) {
        int first = Mem.i32(at);
        return first & 0x3f3f3f3fL | (long) (Mem.i32(at + 8) & 0x0f0f0f0f | first >>> 2 & 0x30303030) << 32;
    }

    /** The six-bit minima likewise. */
    private static long minima(long at) {
        int first = Mem.i32(at + 4);
        return first & 0x3f3f3f3fL | (long) (Mem.i32(at + 8) >>> 4 & 0x0f0f0f0f | first >>> 2 & 0x30303030) << 32;
    }

    /** Scale and minimum, 12 bytes of theirs for sub-blocks of 32, 128 bytes of codes. Minima meet sums of x. */
    private static void q4(long x, long w, long ws, int blocks, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int b = 0; b < blocks; b++) {
                p &= Mem.IN;
                q &= Mem.IN;
                float scale = Float.float16ToFloat(Mem.i16(q));
                float minimum = -Float.float16ToFloat(Mem.i16(q + 2));
                long scales = scales(q + 4);
                long minima = minima(q + 4);
                for (int s = 0; s < 4; s++) {
                    FloatVector sum0 = FloatVector.zero(S);
                    FloatVector sum1 = FloatVector.zero(S);
                    FloatVector plain0 = FloatVector.zero(S);
                    FloatVector plain1 = FloatVector.zero(S);
                    for (int j = 0; j < 32; j += L) {
                        IntVector codes = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 16 + 32 * s + j, ORDER)
                                .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                        FloatVector x0 = FloatVector.fromMemorySegment(S, ALL, p + 4L * (64 * s + j), ORDER);
                        FloatVector x1 = FloatVector.fromMemorySegment(S, ALL, p + 4L * (64 * s + 32 + j), ORDER);
                        sum0 = x0.fma((FloatVector) codes.and(15).convertShape(VectorOperators.I2F, S, 0), sum0);
                        sum1 = x1.fma((FloatVector) codes.lanewise(VectorOperators.LSHR, 4).convertShape(VectorOperators.I2F, S, 0), sum1);
                        plain0 = plain0.add(x0);
                        plain1 = plain1.add(x1);
                    }
                    c0 = sum0.fma(FloatVector.broadcast(S, scale * (scales >>> 16 * s & 0xff)), c0);
                    c1 = plain0.fma(FloatVector.broadcast(S, minimum * (minima >>> 16 * s & 0xff)), c1);
                    c0 = sum1.fma(FloatVector.broadcast(S, scale * (scales >>> 16 * s + 8 & 0xff)), c0);
                    c1 = plain1.fma(FloatVector.broadcast(S, minimum * (minima >>> 16 * s + 8 & 0xff)), c1);
                }
                p += 4L * 256;
                q += 144;
            }
            c0.add(c1).intoMemorySegment(ALL, out, ORDER);
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
                float scale = Float.float16ToFloat(Mem.i16(q));
                float minimum = Float.float16ToFloat(Mem.i16(q + 2));
                long scales = scales(q + 4);
                long minima = minima(q + 4);
                for (int s = 0; s < 4; s++) {
                    FloatVector d0 = FloatVector.broadcast(S, scale * (scales >>> 16 * s & 0xff));
                    FloatVector m0 = FloatVector.broadcast(S, minimum * (minima >>> 16 * s & 0xff));
                    FloatVector d1 = FloatVector.broadcast(S, scale * (scales >>> 16 * s + 8 & 0xff));
                    FloatVector m1 = FloatVector.broadcast(S, minimum * (minima >>> 16 * s + 8 & 0xff));
                    for (int j = 0; j < 32; j += L) {
                        IntVector codes = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 16 + 32 * s + j, ORDER)
                                .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                        FloatVector v = ((FloatVector) codes.and(15).convertShape(VectorOperators.I2F, S, 0)).mul(d0).sub(m0);
                        c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * (64 * s + j), ORDER).fma(v, c0);
                        c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * (64 * s + j), ORDER).fma(v, c1);
                        c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * (64 * s + j), ORDER).fma(v, c2);
                        c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * (64 * s + j), ORDER).fma(v, c3);
                        v = ((FloatVector) codes.lanewise(VectorOperators.LSHR, 4).convertShape(VectorOperators.I2F, S, 0)).mul(d1).sub(m1);
                        c0 = FloatVector.fromMemorySegment(S, ALL, x + p + 4L * (64 * s + 32 + j), ORDER).fma(v, c0);
                        c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + 4L * (64 * s + 32 + j), ORDER).fma(v, c1);
                        c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + 4L * (64 * s + 32 + j), ORDER).fma(v, c2);
                        c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + 4L * (64 * s + 32 + j), ORDER).fma(v, c3);
                    }
                }
                p += 4L * 256;
                q += 144;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += RowProduct.TALL * LB;
            w += ws;
        }
    }

    /** Low and high code bits, 16 signed scales for sub-blocks of 16, one scale of all. */
    private static void q6(long x, long w, long ws, int blocks, int count, long out) {
        for (int r = 0; r < count; r++) {
            FloatVector c0 = FloatVector.zero(S);
            FloatVector c1 = FloatVector.zero(S);
            long p = x;
            long q = w;
            for (int b = 0; b < blocks; b++) {
                float d = Float.float16ToFloat(Mem.i16(q + 208));
                for (int half = 0; half < 2; half++) {
                    long at = p + 512L * half & Mem.IN;
                    long low = q + 64L * half & Mem.IN;
                    long high = q + 128 + 32L * half & Mem.IN;
                    // All eight at once: a call for each would be too many for the compiler.
                    long scales = Mem.i64(q + 192 + 8L * half);
                    for (int l = 0; l < 32; l += L) {
                        IntVector lows = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, low + l, ORDER)
                                .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                        IntVector more = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, low + 32 + l, ORDER)
                                .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                        IntVector highs = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, high + l, ORDER)
                                .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                        long scale = scales >>> (l / 16 * 8);
                        FloatVector v = ((FloatVector) lows.and(15).or(highs.and(3).lanewise(VectorOperators.LSHL, 4)).sub(32)
                                .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) scale);
                        c0 = FloatVector.fromMemorySegment(S, ALL, at + 4L * l, ORDER).fma(v, c0);
                        v = ((FloatVector) more.and(15).or(highs.and(12).lanewise(VectorOperators.LSHL, 2)).sub(32)
                                .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) (scale >>> 16));
                        c1 = FloatVector.fromMemorySegment(S, ALL, at + 4L * l + 128, ORDER).fma(v, c1);
                        v = ((FloatVector) lows.lanewise(VectorOperators.LSHR, 4).or(highs.and(48)).sub(32)
                                .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) (scale >>> 32));
                        c0 = FloatVector.fromMemorySegment(S, ALL, at + 4L * l + 256, ORDER).fma(v, c0);
                        v = ((FloatVector) more.lanewise(VectorOperators.LSHR, 4).or(highs.lanewise(VectorOperators.LSHR, 2).and(48)).sub(32)
                                .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) (scale >>> 48));
                        c1 = FloatVector.fromMemorySegment(S, ALL, at + 4L * l + 384, ORDER).fma(v, c1);
                    }
                }
                p += 4L * 256;
                q += 210;
            }
            c0.add(c1).intoMemorySegment(ALL, out, ORDER);
            out += LB;
            w += ws;
        }
    }

    /** As {@link #q6} for four rows of x. */
    private static void q6Tall(long x, long xs, long w, long ws, int blocks, int count, long out) {
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
                float d = Float.float16ToFloat(Mem.i16(q + 208));
                for (int j = 0; j < 64; j += L) {
                    int half = j / 32;
                    int l = j % 32;
                    long scale = Mem.i64(q + 192 + 8 * half) >>> (l / 16 * 8);
                    IntVector lows = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 64 * half + l, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    IntVector more = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 64 * half + 32 + l, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    IntVector highs = (IntVector) ByteVector.fromMemorySegment(BYTES, ALL, q + 128 + 32 * half + l, ORDER)
                            .convertShape(VectorOperators.ZERO_EXTEND_B2I, SI, 0);
                    long at = 4L * (128 * half + l);
                    FloatVector v = ((FloatVector) lows.and(15).or(highs.and(3).lanewise(VectorOperators.LSHL, 4)).sub(32)
                            .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) scale);
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + at, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + at, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + at, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + at, ORDER).fma(v, c3);
                    v = ((FloatVector) more.and(15).or(highs.and(12).lanewise(VectorOperators.LSHL, 2)).sub(32)
                            .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) (scale >>> 16));
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + at + 128, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + at + 128, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + at + 128, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + at + 128, ORDER).fma(v, c3);
                    v = ((FloatVector) lows.lanewise(VectorOperators.LSHR, 4).or(highs.and(48)).sub(32)
                            .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) (scale >>> 32));
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + at + 256, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + at + 256, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + at + 256, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + at + 256, ORDER).fma(v, c3);
                    v = ((FloatVector) more.lanewise(VectorOperators.LSHR, 4).or(highs.lanewise(VectorOperators.LSHR, 2).and(48)).sub(32)
                            .convertShape(VectorOperators.I2F, S, 0)).mul(d * (byte) (scale >>> 48));
                    c0 = FloatVector.fromMemorySegment(S, ALL, x + p + at + 384, ORDER).fma(v, c0);
                    c1 = FloatVector.fromMemorySegment(S, ALL, x1 + p + at + 384, ORDER).fma(v, c1);
                    c2 = FloatVector.fromMemorySegment(S, ALL, x2 + p + at + 384, ORDER).fma(v, c2);
                    c3 = FloatVector.fromMemorySegment(S, ALL, x3 + p + at + 384, ORDER).fma(v, c3);
                }
                p += 4L * 256;
                q += 210;
            }
            c0.intoMemorySegment(ALL, out, ORDER);
            c1.intoMemorySegment(ALL, out + 1L * LB, ORDER);
            c2.intoMemorySegment(ALL, out + 2L * LB, ORDER);
            c3.intoMemorySegment(ALL, out + 3L * LB, ORDER);
            out += RowProduct.TALL * LB;
            w += ws;
        }
    }

    static final class Q4 extends BlockRows.Blocks {
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

    static final class Q6 extends BlockRows.Blocks {
        Q6(BlockMatrix m) {
            super(m);
        }

        @Override
        void sums(int h, long x, long xs, long number, long row, int count, long sums) {
            if (h == 1) {
                q6(x, row, stride, blocks, count, sums);
            } else {
                q6Tall(x, xs, row, stride, blocks, count, sums);
            }
        }
    }
}
