package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The products of {@link DotTiles} for a BF16 weight.
 *
 * <p>The weight is read as ints of two elements: the low half shifted up is an even element, the high half
 * masked is an odd one; x must then hold, for every two vectors of elements, first the even then the odd ones.
 * Strides are in bytes, {@code steps} counts pairs of vectors, results go to {@code out} row by row.
 */
final class DotTilesBf16 {
    private DotTilesBf16() {
    }

    static void tile1x8(long x, long xs, long w, long ws, int steps, long out) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c01 = FloatVector.zero(S);
        FloatVector c02 = FloatVector.zero(S);
        FloatVector c03 = FloatVector.zero(S);
        FloatVector c04 = FloatVector.zero(S);
        FloatVector c05 = FloatVector.zero(S);
        FloatVector c06 = FloatVector.zero(S);
        FloatVector c07 = FloatVector.zero(S);
        long w1 = w + ws;
        long w2 = w + 2 * ws;
        long w3 = w + 3 * ws;
        long w4 = w + 4 * ws;
        long w5 = w + 5 * ws;
        long w6 = w + 6 * ws;
        long w7 = w + 7 * ws;
        for (int p = 0; p < steps; p++) {
            FloatVector e0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector o0 = FloatVector.fromMemorySegment(S, ALL, x + LB, ORDER);
            IntVector b = IntVector.fromMemorySegment(SI, ALL, w, ORDER);
            FloatVector f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c00 = e0.fma(f, c00);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c00 = o0.fma(f, c00);
            b = IntVector.fromMemorySegment(SI, ALL, w1, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c01 = e0.fma(f, c01);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c01 = o0.fma(f, c01);
            b = IntVector.fromMemorySegment(SI, ALL, w2, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c02 = e0.fma(f, c02);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c02 = o0.fma(f, c02);
            b = IntVector.fromMemorySegment(SI, ALL, w3, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c03 = e0.fma(f, c03);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c03 = o0.fma(f, c03);
            b = IntVector.fromMemorySegment(SI, ALL, w4, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c04 = e0.fma(f, c04);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c04 = o0.fma(f, c04);
            b = IntVector.fromMemorySegment(SI, ALL, w5, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c05 = e0.fma(f, c05);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c05 = o0.fma(f, c05);
            b = IntVector.fromMemorySegment(SI, ALL, w6, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c06 = e0.fma(f, c06);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c06 = o0.fma(f, c06);
            b = IntVector.fromMemorySegment(SI, ALL, w7, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c07 = e0.fma(f, c07);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c07 = o0.fma(f, c07);
            x += 2 * LB;
            w += LB;
            w1 += LB;
            w2 += LB;
            w3 += LB;
            w4 += LB;
            w5 += LB;
            w6 += LB;
            w7 += LB;
        }
        c00.intoMemorySegment(ALL, out, ORDER);
        c01.intoMemorySegment(ALL, out + 1L * LB, ORDER);
        c02.intoMemorySegment(ALL, out + 2L * LB, ORDER);
        c03.intoMemorySegment(ALL, out + 3L * LB, ORDER);
        c04.intoMemorySegment(ALL, out + 4L * LB, ORDER);
        c05.intoMemorySegment(ALL, out + 5L * LB, ORDER);
        c06.intoMemorySegment(ALL, out + 6L * LB, ORDER);
        c07.intoMemorySegment(ALL, out + 7L * LB, ORDER);
        Lanes.fold(out, 8);
    }

    static void tile1x4(long x, long xs, long w, long ws, int steps, long out) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c01 = FloatVector.zero(S);
        FloatVector c02 = FloatVector.zero(S);
        FloatVector c03 = FloatVector.zero(S);
        long w1 = w + ws;
        long w2 = w + 2 * ws;
        long w3 = w + 3 * ws;
        for (int p = 0; p < steps; p++) {
            FloatVector e0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector o0 = FloatVector.fromMemorySegment(S, ALL, x + LB, ORDER);
            IntVector b = IntVector.fromMemorySegment(SI, ALL, w, ORDER);
            FloatVector f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c00 = e0.fma(f, c00);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c00 = o0.fma(f, c00);
            b = IntVector.fromMemorySegment(SI, ALL, w1, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c01 = e0.fma(f, c01);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c01 = o0.fma(f, c01);
            b = IntVector.fromMemorySegment(SI, ALL, w2, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c02 = e0.fma(f, c02);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c02 = o0.fma(f, c02);
            b = IntVector.fromMemorySegment(SI, ALL, w3, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c03 = e0.fma(f, c03);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c03 = o0.fma(f, c03);
            x += 2 * LB;
            w += LB;
            w1 += LB;
            w2 += LB;
            w3 += LB;
        }
        c00.intoMemorySegment(ALL, out, ORDER);
        c01.intoMemorySegment(ALL, out + 1L * LB, ORDER);
        c02.intoMemorySegment(ALL, out + 2L * LB, ORDER);
        c03.intoMemorySegment(ALL, out + 3L * LB, ORDER);
        Lanes.fold(out, 4);
    }

    static void tile2x4(long x, long xs, long w, long ws, int steps, long out) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c01 = FloatVector.zero(S);
        FloatVector c02 = FloatVector.zero(S);
        FloatVector c03 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c11 = FloatVector.zero(S);
        FloatVector c12 = FloatVector.zero(S);
        FloatVector c13 = FloatVector.zero(S);
        long x1 = x + xs;
        long w1 = w + ws;
        long w2 = w + 2 * ws;
        long w3 = w + 3 * ws;
        for (int p = 0; p < steps; p++) {
            FloatVector e0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector o0 = FloatVector.fromMemorySegment(S, ALL, x + LB, ORDER);
            FloatVector e1 = FloatVector.fromMemorySegment(S, ALL, x1, ORDER);
            FloatVector o1 = FloatVector.fromMemorySegment(S, ALL, x1 + LB, ORDER);
            IntVector b = IntVector.fromMemorySegment(SI, ALL, w, ORDER);
            FloatVector f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c00 = e0.fma(f, c00);
            c10 = e1.fma(f, c10);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c00 = o0.fma(f, c00);
            c10 = o1.fma(f, c10);
            b = IntVector.fromMemorySegment(SI, ALL, w1, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c01 = e0.fma(f, c01);
            c11 = e1.fma(f, c11);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c01 = o0.fma(f, c01);
            c11 = o1.fma(f, c11);
            b = IntVector.fromMemorySegment(SI, ALL, w2, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c02 = e0.fma(f, c02);
            c12 = e1.fma(f, c12);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c02 = o0.fma(f, c02);
            c12 = o1.fma(f, c12);
            b = IntVector.fromMemorySegment(SI, ALL, w3, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c03 = e0.fma(f, c03);
            c13 = e1.fma(f, c13);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c03 = o0.fma(f, c03);
            c13 = o1.fma(f, c13);
            x += 2 * LB;
            x1 += 2 * LB;
            w += LB;
            w1 += LB;
            w2 += LB;
            w3 += LB;
        }
        c00.intoMemorySegment(ALL, out, ORDER);
        c01.intoMemorySegment(ALL, out + 1L * LB, ORDER);
        c02.intoMemorySegment(ALL, out + 2L * LB, ORDER);
        c03.intoMemorySegment(ALL, out + 3L * LB, ORDER);
        c10.intoMemorySegment(ALL, out + 4L * LB, ORDER);
        c11.intoMemorySegment(ALL, out + 5L * LB, ORDER);
        c12.intoMemorySegment(ALL, out + 6L * LB, ORDER);
        c13.intoMemorySegment(ALL, out + 7L * LB, ORDER);
        Lanes.fold(out, 8);
    }

    static void tile4x4(long x, long xs, long w, long ws, int steps, long out) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c01 = FloatVector.zero(S);
        FloatVector c02 = FloatVector.zero(S);
        FloatVector c03 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c11 = FloatVector.zero(S);
        FloatVector c12 = FloatVector.zero(S);
        FloatVector c13 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c21 = FloatVector.zero(S);
        FloatVector c22 = FloatVector.zero(S);
        FloatVector c23 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        FloatVector c31 = FloatVector.zero(S);
        FloatVector c32 = FloatVector.zero(S);
        FloatVector c33 = FloatVector.zero(S);
        long x1 = x + xs;
        long x2 = x + 2 * xs;
        long x3 = x + 3 * xs;
        long w1 = w + ws;
        long w2 = w + 2 * ws;
        long w3 = w + 3 * ws;
        for (int p = 0; p < steps; p++) {
            FloatVector e0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector o0 = FloatVector.fromMemorySegment(S, ALL, x + LB, ORDER);
            FloatVector e1 = FloatVector.fromMemorySegment(S, ALL, x1, ORDER);
            FloatVector o1 = FloatVector.fromMemorySegment(S, ALL, x1 + LB, ORDER);
            FloatVector e2 = FloatVector.fromMemorySegment(S, ALL, x2, ORDER);
            FloatVector o2 = FloatVector.fromMemorySegment(S, ALL, x2 + LB, ORDER);
            FloatVector e3 = FloatVector.fromMemorySegment(S, ALL, x3, ORDER);
            FloatVector o3 = FloatVector.fromMemorySegment(S, ALL, x3 + LB, ORDER);
            IntVector b = IntVector.fromMemorySegment(SI, ALL, w, ORDER);
            FloatVector f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c00 = e0.fma(f, c00);
            c10 = e1.fma(f, c10);
            c20 = e2.fma(f, c20);
            c30 = e3.fma(f, c30);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c00 = o0.fma(f, c00);
            c10 = o1.fma(f, c10);
            c20 = o2.fma(f, c20);
            c30 = o3.fma(f, c30);
            b = IntVector.fromMemorySegment(SI, ALL, w1, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c01 = e0.fma(f, c01);
            c11 = e1.fma(f, c11);
            c21 = e2.fma(f, c21);
            c31 = e3.fma(f, c31);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c01 = o0.fma(f, c01);
            c11 = o1.fma(f, c11);
            c21 = o2.fma(f, c21);
            c31 = o3.fma(f, c31);
            b = IntVector.fromMemorySegment(SI, ALL, w2, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c02 = e0.fma(f, c02);
            c12 = e1.fma(f, c12);
            c22 = e2.fma(f, c22);
            c32 = e3.fma(f, c32);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c02 = o0.fma(f, c02);
            c12 = o1.fma(f, c12);
            c22 = o2.fma(f, c22);
            c32 = o3.fma(f, c32);
            b = IntVector.fromMemorySegment(SI, ALL, w3, ORDER);
            f = b.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            c03 = e0.fma(f, c03);
            c13 = e1.fma(f, c13);
            c23 = e2.fma(f, c23);
            c33 = e3.fma(f, c33);
            f = b.and(0xffff0000).reinterpretAsFloats();
            c03 = o0.fma(f, c03);
            c13 = o1.fma(f, c13);
            c23 = o2.fma(f, c23);
            c33 = o3.fma(f, c33);
            x += 2 * LB;
            x1 += 2 * LB;
            x2 += 2 * LB;
            x3 += 2 * LB;
            w += LB;
            w1 += LB;
            w2 += LB;
            w3 += LB;
        }
        c00.intoMemorySegment(ALL, out, ORDER);
        c01.intoMemorySegment(ALL, out + 1L * LB, ORDER);
        c02.intoMemorySegment(ALL, out + 2L * LB, ORDER);
        c03.intoMemorySegment(ALL, out + 3L * LB, ORDER);
        c10.intoMemorySegment(ALL, out + 4L * LB, ORDER);
        c11.intoMemorySegment(ALL, out + 5L * LB, ORDER);
        c12.intoMemorySegment(ALL, out + 6L * LB, ORDER);
        c13.intoMemorySegment(ALL, out + 7L * LB, ORDER);
        c20.intoMemorySegment(ALL, out + 8L * LB, ORDER);
        c21.intoMemorySegment(ALL, out + 9L * LB, ORDER);
        c22.intoMemorySegment(ALL, out + 10L * LB, ORDER);
        c23.intoMemorySegment(ALL, out + 11L * LB, ORDER);
        c30.intoMemorySegment(ALL, out + 12L * LB, ORDER);
        c31.intoMemorySegment(ALL, out + 13L * LB, ORDER);
        c32.intoMemorySegment(ALL, out + 14L * LB, ORDER);
        c33.intoMemorySegment(ALL, out + 15L * LB, ORDER);
        Lanes.fold(out, 16);
    }
}
