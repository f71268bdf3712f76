package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Dot products of rows of x with rows of a weight as it lies in the checkpoint, several at once so that every load
 * feeds several multiply-adds, with one sum over lanes per result at the end.
 *
 * <p>Strides are in bytes, {@code steps} counts vectors, results go to {@code out} row by row.
 */
final class DotTiles {
    private DotTiles() {
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
            FloatVector v0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, w, ORDER);
            c00 = v0.fma(b, c00);
            b = FloatVector.fromMemorySegment(S, ALL, w1, ORDER);
            c01 = v0.fma(b, c01);
            b = FloatVector.fromMemorySegment(S, ALL, w2, ORDER);
            c02 = v0.fma(b, c02);
            b = FloatVector.fromMemorySegment(S, ALL, w3, ORDER);
            c03 = v0.fma(b, c03);
            b = FloatVector.fromMemorySegment(S, ALL, w4, ORDER);
            c04 = v0.fma(b, c04);
            b = FloatVector.fromMemorySegment(S, ALL, w5, ORDER);
            c05 = v0.fma(b, c05);
            b = FloatVector.fromMemorySegment(S, ALL, w6, ORDER);
            c06 = v0.fma(b, c06);
            b = FloatVector.fromMemorySegment(S, ALL, w7, ORDER);
            c07 = v0.fma(b, c07);
            x += LB;
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
            FloatVector v0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, w, ORDER);
            c00 = v0.fma(b, c00);
            b = FloatVector.fromMemorySegment(S, ALL, w1, ORDER);
            c01 = v0.fma(b, c01);
            b = FloatVector.fromMemorySegment(S, ALL, w2, ORDER);
            c02 = v0.fma(b, c02);
            b = FloatVector.fromMemorySegment(S, ALL, w3, ORDER);
            c03 = v0.fma(b, c03);
            x += LB;
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
            FloatVector v0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector v1 = FloatVector.fromMemorySegment(S, ALL, x1, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, w, ORDER);
            c00 = v0.fma(b, c00);
            c10 = v1.fma(b, c10);
            b = FloatVector.fromMemorySegment(S, ALL, w1, ORDER);
            c01 = v0.fma(b, c01);
            c11 = v1.fma(b, c11);
            b = FloatVector.fromMemorySegment(S, ALL, w2, ORDER);
            c02 = v0.fma(b, c02);
            c12 = v1.fma(b, c12);
            b = FloatVector.fromMemorySegment(S, ALL, w3, ORDER);
            c03 = v0.fma(b, c03);
            c13 = v1.fma(b, c13);
            x += LB;
            x1 += LB;
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
            FloatVector v0 = FloatVector.fromMemorySegment(S, ALL, x, ORDER);
            FloatVector v1 = FloatVector.fromMemorySegment(S, ALL, x1, ORDER);
            FloatVector v2 = FloatVector.fromMemorySegment(S, ALL, x2, ORDER);
            FloatVector v3 = FloatVector.fromMemorySegment(S, ALL, x3, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(S, ALL, w, ORDER);
            c00 = v0.fma(b, c00);
            c10 = v1.fma(b, c10);
            c20 = v2.fma(b, c20);
            c30 = v3.fma(b, c30);
            b = FloatVector.fromMemorySegment(S, ALL, w1, ORDER);
            c01 = v0.fma(b, c01);
            c11 = v1.fma(b, c11);
            c21 = v2.fma(b, c21);
            c31 = v3.fma(b, c31);
            b = FloatVector.fromMemorySegment(S, ALL, w2, ORDER);
            c02 = v0.fma(b, c02);
            c12 = v1.fma(b, c12);
            c22 = v2.fma(b, c22);
            c32 = v3.fma(b, c32);
            b = FloatVector.fromMemorySegment(S, ALL, w3, ORDER);
            c03 = v0.fma(b, c03);
            c13 = v1.fma(b, c13);
            c23 = v2.fma(b, c23);
            c33 = v3.fma(b, c33);
            x += LB;
            x1 += LB;
            x2 += LB;
            x3 += LB;
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
