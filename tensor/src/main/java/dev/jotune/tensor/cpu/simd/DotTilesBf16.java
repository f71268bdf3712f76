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
        Mem.f32(out, c00.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 4, c01.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 8, c02.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 12, c03.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 16, c04.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 20, c05.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 24, c06.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 28, c07.reduceLanes(VectorOperators.ADD));
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
        Mem.f32(out, c00.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 4, c01.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 8, c02.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 12, c03.reduceLanes(VectorOperators.ADD));
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
        Mem.f32(out, c00.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 4, c01.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 8, c02.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 12, c03.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 16, c10.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 20, c11.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 24, c12.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 28, c13.reduceLanes(VectorOperators.ADD));
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
        Mem.f32(out, c00.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 4, c01.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 8, c02.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 12, c03.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 16, c10.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 20, c11.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 24, c12.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 28, c13.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 32, c20.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 36, c21.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 40, c22.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 44, c23.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 48, c30.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 52, c31.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 56, c32.reduceLanes(VectorOperators.ADD));
        Mem.f32(out + 60, c33.reduceLanes(VectorOperators.ADD));
    }
}
