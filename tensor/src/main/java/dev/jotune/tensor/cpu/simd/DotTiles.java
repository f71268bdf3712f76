package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import jdk.incubator.vector.FloatVector;

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
