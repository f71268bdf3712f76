package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix product tiles one vector wide: C = A B ({@code set}) or C += A B ({@code add}).
 *
 * <p>A is read one scalar at a time, row step {@code ra} and k step {@code ca} bytes; B is a run of vectors at
 * each k, k step {@code rb} bytes; C has row step {@code rc} bytes. Everything is unrolled by hand and set and add
 * are methods of their own, because a method above about 1500 bytecodes may be refused by the compiler for
 * good, and a helper that returns a vector costs half the speed.
 */
final class Tiles1 {
    private Tiles1() {
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
                    add4(a, ra, ca, b, rb, c, rc, k);
                } else {
                    set4(a, ra, ca, b, rb, c, rc, k);
                }
            }
            case 2 -> {
                if (add) {
                    add2(a, ra, ca, b, rb, c, rc, k);
                } else {
                    set2(a, ra, ca, b, rb, c, rc, k);
                }
            }
            default -> {
                if (add) {
                    add1(a, ra, ca, b, rb, c, rc, k);
                } else {
                    set1(a, ra, ca, b, rb, c, rc, k);
                }
            }
        }
    }

    private static void set6(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        FloatVector c40 = FloatVector.zero(S);
        FloatVector c50 = FloatVector.zero(S);
        long a1 = a + ra;
        long a2 = a + 2 * ra;
        long a3 = a + 3 * ra;
        long a4 = a + 4 * ra;
        long a5 = a + 5 * ra;
        for (int p = 0; p < k; p++) {
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
            a += ca;
            a1 += ca;
            a2 += ca;
            a3 += ca;
            a4 += ca;
            a5 += ca;
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

    private static void add6(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        FloatVector c40 = FloatVector.zero(S);
        FloatVector c50 = FloatVector.zero(S);
        long a1 = a + ra;
        long a2 = a + 2 * ra;
        long a3 = a + 3 * ra;
        long a4 = a + 4 * ra;
        long a5 = a + 5 * ra;
        for (int p = 0; p < k; p++) {
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
        c += rc;
        c10.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c20.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c30.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c40.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c50.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
    }

    private static void set4(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        long a1 = a + ra;
        long a2 = a + 2 * ra;
        long a3 = a + 3 * ra;
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a2));
            c20 = x.fma(b0, c20);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a3));
            c30 = x.fma(b0, c30);
            a += ca;
            a1 += ca;
            a2 += ca;
            a3 += ca;
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

    private static void add4(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        FloatVector c20 = FloatVector.zero(S);
        FloatVector c30 = FloatVector.zero(S);
        long a1 = a + ra;
        long a2 = a + 2 * ra;
        long a3 = a + 3 * ra;
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a2));
            c20 = x.fma(b0, c20);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a3));
            c30 = x.fma(b0, c30);
            a += ca;
            a1 += ca;
            a2 += ca;
            a3 += ca;
            b += rb;
        }
        c00.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c10.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c20.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c30.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
    }

    private static void set2(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        long a1 = a + ra;
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            a += ca;
            a1 += ca;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
    }

    private static void add2(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        FloatVector c10 = FloatVector.zero(S);
        long a1 = a + ra;
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            a += ca;
            a1 += ca;
            b += rb;
        }
        c00.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
        c += rc;
        c10.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
    }

    private static void set1(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            a += ca;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
    }

    private static void add1(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        FloatVector c00 = FloatVector.zero(S);
        for (int p = 0; p < k; p++) {
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            a += ca;
            b += rb;
        }
        c00.add(FloatVector.fromMemorySegment(S, ALL, c, ORDER))
                .intoMemorySegment(ALL, c, ORDER);
    }
}
