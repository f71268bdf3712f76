package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Product tiles four vectors wide over a packed strip of A and a panel of B: {@code C = S + A B}.
 *
 * <p>A is {@code [k][rows]} and B {@code [k][four vectors]}, each one run of memory: every address within a step is a constant
 * away from one of two pointers, and masking these (which changes nothing, addresses being smaller) tells the compiler that
 * no access can lie outside. With its checks a step takes twice the instructions;
 * beside a busy neighbour on the same core that is the difference between 0.65 and 0.95 of the peak. Five rows: with a sixth, and S,
 * the first compiler refuses the method, and then it may never reach the second. S has row step {@code rs} bytes, 0 for one row under
 * all (zeros, a bias); it may be C. Row step of C: {@code rc}.
 */
final class StripTiles4 {
    private StripTiles4() {
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
        long o2 = 2L * LB;
        long o3 = 3L * LB;
        long step = 4L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c02 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c03 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c12 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c13 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c22 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c23 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c32 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c33 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c40 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c41 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c42 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c43 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + o1, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + o2, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + o3, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 16));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            c42 = x.fma(b2, c42);
            c43 = x.fma(b3, c43);
            a += 20;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c02.intoMemorySegment(ALL, c + o2, ORDER);
        c03.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c12.intoMemorySegment(ALL, c + o2, ORDER);
        c13.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + o1, ORDER);
        c22.intoMemorySegment(ALL, c + o2, ORDER);
        c23.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + o1, ORDER);
        c32.intoMemorySegment(ALL, c + o2, ORDER);
        c33.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c40.intoMemorySegment(ALL, c, ORDER);
        c41.intoMemorySegment(ALL, c + o1, ORDER);
        c42.intoMemorySegment(ALL, c + o2, ORDER);
        c43.intoMemorySegment(ALL, c + o3, ORDER);
    }

    private static void rows4(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long o2 = 2L * LB;
        long o3 = 3L * LB;
        long step = 4L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c02 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c03 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c12 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c13 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c22 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c23 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c32 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c33 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + o1, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + o2, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + o3, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 8));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 12));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
            a += 16;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c02.intoMemorySegment(ALL, c + o2, ORDER);
        c03.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c12.intoMemorySegment(ALL, c + o2, ORDER);
        c13.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + o1, ORDER);
        c22.intoMemorySegment(ALL, c + o2, ORDER);
        c23.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + o1, ORDER);
        c32.intoMemorySegment(ALL, c + o2, ORDER);
        c33.intoMemorySegment(ALL, c + o3, ORDER);
    }

    private static void rows2(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long o2 = 2L * LB;
        long o3 = 3L * LB;
        long step = 4L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c02 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c03 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c12 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c13 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + o1, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + o2, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + o3, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + 4));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            a += 8;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c02.intoMemorySegment(ALL, c + o2, ORDER);
        c03.intoMemorySegment(ALL, c + o3, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c12.intoMemorySegment(ALL, c + o2, ORDER);
        c13.intoMemorySegment(ALL, c + o3, ORDER);
    }

    private static void rows1(long a, long b, long s, long rs, long c, long rc, int k) {
        long o1 = LB;
        long o2 = 2L * LB;
        long o3 = 3L * LB;
        long step = 4L * LB;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + o1, ORDER);
        FloatVector c02 = FloatVector.fromMemorySegment(S, ALL, s + o2, ORDER);
        FloatVector c03 = FloatVector.fromMemorySegment(S, ALL, s + o3, ORDER);
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + o1, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + o2, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + o3, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            c02 = x.fma(b2, c02);
            c03 = x.fma(b3, c03);
            a += 4;
            b += step;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c02.intoMemorySegment(ALL, c + o2, ORDER);
        c03.intoMemorySegment(ALL, c + o3, ORDER);
    }
}
