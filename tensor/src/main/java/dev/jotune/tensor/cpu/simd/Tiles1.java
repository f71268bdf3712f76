package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix product tiles one vector wide: {@code C = A B}.
 *
 * <p>A is read one scalar at a time, row step {@code ra} and k step {@code ca} bytes; B is a run of vectors at
 * each k, k step {@code rb} bytes; C has row step {@code rc}. Everything is unrolled by hand: a helper that returns
 * a vector costs half the speed, one that loads the scalar costs six sevenths. There is no accumulating twin, and
 * offsets are locals, because a method with too many vector calls (about 1250 bytecodes of these) is refused by the
 * first compiler while it gathers profiles, and then may never reach the second.
 */
final class Tiles1 {
    private Tiles1() {
    }

    /** Runs the tile of {@code rows} rows (6, 4, 2 or 1). */
    static void run(int rows, long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        switch (rows) {
            case 6 -> rows6(a, ra, ca, b, rb, c, rc, k);
            case 4 -> rows4(a, ra, ca, b, rb, c, rc, k);
            case 2 -> rows2(a, ra, ca, b, rb, c, rc, k);
            default -> rows1(a, ra, ca, b, rb, c, rc, k);
        }
    }

    private static void rows6(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        FloatVector c40 = FloatVector.zero(S);
        FloatVector c50 = FloatVector.zero(S);
        long a1 = a + ra & IN;
        long a2 = a1 + ra & IN;
        long a3 = a2 + ra & IN;
        long a4 = a3 + ra & IN;
        long a5 = a4 + ra & IN;
        a &= IN;
        for (int p = 0; p < k; p++) {
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a2));
            c20 = x.fma(b0, c20);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a3));
            c30 = x.fma(b0, c30);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a4));
            c40 = x.fma(b0, c40);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a5));
            c50 = x.fma(b0, c50);
            a = a + ca & IN;
            a1 = a1 + ca & IN;
            a2 = a2 + ca & IN;
            a3 = a3 + ca & IN;
            a4 = a4 + ca & IN;
            a5 = a5 + ca & IN;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c20.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c30.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c40.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c50.intoMemorySegment(ALL, c, ORDER);
    }

    private static void rows4(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        long a1 = a + ra & IN;
        long a2 = a1 + ra & IN;
        long a3 = a2 + ra & IN;
        a &= IN;
        for (int p = 0; p < k; p++) {
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a2));
            c20 = x.fma(b0, c20);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a3));
            c30 = x.fma(b0, c30);
            a = a + ca & IN;
            a1 = a1 + ca & IN;
            a2 = a2 + ca & IN;
            a3 = a3 + ca & IN;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c20.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c30.intoMemorySegment(ALL, c, ORDER);
    }

    private static void rows2(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        long a1 = a + ra & IN;
        a &= IN;
        for (int p = 0; p < k; p++) {
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            a = a + ca & IN;
            a1 = a1 + ca & IN;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
    }

    private static void rows1(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        a &= IN;
        for (int p = 0; p < k; p++) {
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            a = a + ca & IN;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
    }
}
