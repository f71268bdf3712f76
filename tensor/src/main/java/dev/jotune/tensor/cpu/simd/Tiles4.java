package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix product tiles four vectors wide: {@code C = A B}.
 *
 * <p>A is read one scalar at a time, row step {@code ra} and k step {@code ca} bytes; B is a run of vectors at
 * each k, k step {@code rb} bytes; C has row step {@code rc}. Everything is unrolled by hand: a helper that returns
 * a vector costs half the speed, one that loads the scalar costs six sevenths. There is no accumulating twin, and
 * offsets are locals, because a method with too many vector calls (about 1250 bytecodes of these) is refused by the
 * first compiler while it gathers profiles, and then may never reach the second.
 */
final class Tiles4 {
    private Tiles4() {
    }

    /** Runs the tile of {@code rows} rows (6, 4, 2 or 1). */
    static void run(int rows, long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        switch (rows) {
            case 6 -> rows6(a, ra, ca, b, rb, c, rc, k);
            case 4 -> Tiles4Low.rows4(a, ra, ca, b, rb, c, rc, k);
            case 2 -> Tiles4Low.rows2(a, ra, ca, b, rb, c, rc, k);
            default -> Tiles4Low.rows1(a, ra, ca, b, rb, c, rc, k);
        }
    }

    private static void rows6(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        long o1 = LB;
        long o2 = 2L * LB;
        long o3 = 3L * LB;
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
        FloatVector c40 = FloatVector.zero(S);
        FloatVector c41 = FloatVector.zero(S);
        FloatVector c42 = FloatVector.zero(S);
        FloatVector c43 = FloatVector.zero(S);
        FloatVector c50 = FloatVector.zero(S);
        FloatVector c51 = FloatVector.zero(S);
        FloatVector c52 = FloatVector.zero(S);
        FloatVector c53 = FloatVector.zero(S);
        long a1 = a + ra & IN;
        long a2 = a1 + ra & IN;
        long a3 = a2 + ra & IN;
        long a4 = a3 + ra & IN;
        long a5 = a4 + ra & IN;
        a &= IN;
        for (int p = 0; p < k; p++) {
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
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            c12 = x.fma(b2, c12);
            c13 = x.fma(b3, c13);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a2));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            c22 = x.fma(b2, c22);
            c23 = x.fma(b3, c23);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a3));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            c32 = x.fma(b2, c32);
            c33 = x.fma(b3, c33);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a4));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            c42 = x.fma(b2, c42);
            c43 = x.fma(b3, c43);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a5));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            c52 = x.fma(b2, c52);
            c53 = x.fma(b3, c53);
            a = a + ca & IN;
            a1 = a1 + ca & IN;
            a2 = a2 + ca & IN;
            a3 = a3 + ca & IN;
            a4 = a4 + ca & IN;
            a5 = a5 + ca & IN;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c02.intoMemorySegment(ALL, c + o2, ORDER);
        c03.intoMemorySegment(ALL, c + o3, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c12.intoMemorySegment(ALL, c + o2, ORDER);
        c13.intoMemorySegment(ALL, c + o3, ORDER);
        c += rc;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + o1, ORDER);
        c22.intoMemorySegment(ALL, c + o2, ORDER);
        c23.intoMemorySegment(ALL, c + o3, ORDER);
        c += rc;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + o1, ORDER);
        c32.intoMemorySegment(ALL, c + o2, ORDER);
        c33.intoMemorySegment(ALL, c + o3, ORDER);
        c += rc;
        c40.intoMemorySegment(ALL, c, ORDER);
        c41.intoMemorySegment(ALL, c + o1, ORDER);
        c42.intoMemorySegment(ALL, c + o2, ORDER);
        c43.intoMemorySegment(ALL, c + o3, ORDER);
        c += rc;
        c50.intoMemorySegment(ALL, c, ORDER);
        c51.intoMemorySegment(ALL, c + o1, ORDER);
        c52.intoMemorySegment(ALL, c + o2, ORDER);
        c53.intoMemorySegment(ALL, c + o3, ORDER);
    }
}
