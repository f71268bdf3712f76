package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix product tiles four vectors wide: C = A B ({@code set}) or C += A B ({@code add}).
 *
 * <p>A is read one scalar at a time, row step {@code ra} and k step {@code ca} bytes; B is a run of vectors at
 * each k, k step {@code rb} bytes; C has row step {@code rc} bytes. Everything is unrolled by hand and set and add
 * are methods of their own, because a method above about 1500 bytecodes may be refused by the compiler for
 * good, and a helper that returns a vector costs half the speed.
 */
final class Tiles4 {
    private Tiles4() {
    }

    /** Runs the tile of {@code rows} rows (6, 4, 2 or 1). */
    static void run(int rows, boolean add, long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        switch (rows) {
            case 6 -> {
                if (add) {
                    add6(a, ra, ca, b, rb, c, rc, k);
                } else {
                    set6(a, ra, ca, b, rb, c, rc, k);
                }
            }
            case 4 -> {
                if (add) {
                    Tiles4Low.add4(a, ra, ca, b, rb, c, rc, k);
                } else {
                    Tiles4Low.set4(a, ra, ca, b, rb, c, rc, k);
                }
            }
            case 2 -> {
                if (add) {
                    Tiles4Low.add2(a, ra, ca, b, rb, c, rc, k);
                } else {
                    Tiles4Low.set2(a, ra, ca, b, rb, c, rc, k);
                }
            }
            default -> {
                if (add) {
                    Tiles4Low.add1(a, ra, ca, b, rb, c, rc, k);
                } else {
                    Tiles4Low.set1(a, ra, ca, b, rb, c, rc, k);
                }
            }
        }
    }

    private static void set6(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
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
        long a1 = a + ra;
        long a2 = a + 2 * ra;
        long a3 = a + 3 * ra;
        long a4 = a + 4 * ra;
        long a5 = a + 5 * ra;
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + LB, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + 2 * LB, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + 3 * LB, ORDER);
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
            a += ca;
            a1 += ca;
            a2 += ca;
            a3 += ca;
            a4 += ca;
            a5 += ca;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + LB, ORDER);
        c02.intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c03.intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + LB, ORDER);
        c12.intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c13.intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + LB, ORDER);
        c22.intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c23.intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + LB, ORDER);
        c32.intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c33.intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c40.intoMemorySegment(ALL, c, ORDER);
        c41.intoMemorySegment(ALL, c + LB, ORDER);
        c42.intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c43.intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c50.intoMemorySegment(ALL, c, ORDER);
        c51.intoMemorySegment(ALL, c + LB, ORDER);
        c52.intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c53.intoMemorySegment(ALL, c + 3 * LB, ORDER);
    }

    private static void add6(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
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
        long a1 = a + ra;
        long a2 = a + 2 * ra;
        long a3 = a + 3 * ra;
        long a4 = a + 4 * ra;
        long a5 = a + 5 * ra;
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + LB, ORDER);
            FloatVector b2 = FloatVector.fromMemorySegment(S, ALL, b + 2 * LB, ORDER);
            FloatVector b3 = FloatVector.fromMemorySegment(S, ALL, b + 3 * LB, ORDER);
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
            a += ca;
            a1 += ca;
            a2 += ca;
            a3 += ca;
            a4 += ca;
            a5 += ca;
            b += rb;
        }
        c00.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c01.add(FloatVector.fromMemorySegment(S, ALL, c + LB, ORDER))
                .intoMemorySegment(ALL, c + LB, ORDER);
        c02.add(FloatVector.fromMemorySegment(S, ALL, c + 2 * LB, ORDER))
                .intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c03.add(FloatVector.fromMemorySegment(S, ALL, c + 3 * LB, ORDER))
                .intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c10.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c11.add(FloatVector.fromMemorySegment(S, ALL, c + LB, ORDER))
                .intoMemorySegment(ALL, c + LB, ORDER);
        c12.add(FloatVector.fromMemorySegment(S, ALL, c + 2 * LB, ORDER))
                .intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c13.add(FloatVector.fromMemorySegment(S, ALL, c + 3 * LB, ORDER))
                .intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c20.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c21.add(FloatVector.fromMemorySegment(S, ALL, c + LB, ORDER))
                .intoMemorySegment(ALL, c + LB, ORDER);
        c22.add(FloatVector.fromMemorySegment(S, ALL, c + 2 * LB, ORDER))
                .intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c23.add(FloatVector.fromMemorySegment(S, ALL, c + 3 * LB, ORDER))
                .intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c30.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c31.add(FloatVector.fromMemorySegment(S, ALL, c + LB, ORDER))
                .intoMemorySegment(ALL, c + LB, ORDER);
        c32.add(FloatVector.fromMemorySegment(S, ALL, c + 2 * LB, ORDER))
                .intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c33.add(FloatVector.fromMemorySegment(S, ALL, c + 3 * LB, ORDER))
                .intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c40.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c41.add(FloatVector.fromMemorySegment(S, ALL, c + LB, ORDER))
                .intoMemorySegment(ALL, c + LB, ORDER);
        c42.add(FloatVector.fromMemorySegment(S, ALL, c + 2 * LB, ORDER))
                .intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c43.add(FloatVector.fromMemorySegment(S, ALL, c + 3 * LB, ORDER))
                .intoMemorySegment(ALL, c + 3 * LB, ORDER);
        c += rc;
        c50.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c51.add(FloatVector.fromMemorySegment(S, ALL, c + LB, ORDER))
                .intoMemorySegment(ALL, c + LB, ORDER);
        c52.add(FloatVector.fromMemorySegment(S, ALL, c + 2 * LB, ORDER))
                .intoMemorySegment(ALL, c + 2 * LB, ORDER);
        c53.add(FloatVector.fromMemorySegment(S, ALL, c + 3 * LB, ORDER))
                .intoMemorySegment(ALL, c + 3 * LB, ORDER);
    }
}
