package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Product tiles two vectors wide over a packed strip of A and a panel of B in BF16 pairs, see {@link Panels}: as
 * {@link StripTiles2}, with a shift and a mask for each vector of B.
 */
final class StripTiles2Bf16 {
    private StripTiles2Bf16() {
    }

    /** Runs the tile of {@code rows} rows (5, 4, 2 or 1). */
    static void run(int rows, long a, long b, long s, long rs, long c, long rc, int k) {
        switch (rows) {
            case 5 -> rows5(a, b, s, rs, c, rc, k);
            case 4 -> rows4(a, b, s, rs, c, rc, k);
            case 2 -> rows2(a, b, s, rs, c, rc, k);
            default -> rows1(a, b, s, rs, c, rc, k);
        }
    }

    private static void rows5(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long step = 1L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c40 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c41 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, b, ORDER);
            FloatVector b0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector b1 = pair.and(0xffff0000).reinterpretAsFloats();
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 16));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            a += 20;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c40.intoMemorySegment(ALL, c, ORDER);
        c41.intoMemorySegment(ALL, c + o1, ORDER);
    }

    private static void rows4(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long step = 1L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, b, ORDER);
            FloatVector b0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector b1 = pair.and(0xffff0000).reinterpretAsFloats();
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            a += 16;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + o1, ORDER);
    }

    private static void rows2(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long step = 1L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, b, ORDER);
            FloatVector b0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector b1 = pair.and(0xffff0000).reinterpretAsFloats();
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            a += 8;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
    }

    private static void rows1(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long step = 1L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, b, ORDER);
            FloatVector b0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector b1 = pair.and(0xffff0000).reinterpretAsFloats();
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            a += 4;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
    }
}
