package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;

/**
 * Matrix product tiles that add: {@code C += A B}, C's tile kept in registers. With {@link Tiles4}'s six rows of four
 * vectors the loads of C would make the method too big for the first compiler; four rows of four vectors still do two
 * multiply-adds for every load.
 */
final class TilesAdd {
    /** Rows of a tile. */
    static final int ROWS = 4;

    private TilesAdd() {
    }

    /**
     * {@code C += A B}; steps in bytes, n whole vectors. A is read one scalar at a time, row step {@code ra} and k step
     * {@code ca}; B and C a vector at a time, row steps {@code rb} and {@code rc}.
     */
    static void run(int m, int n, int k, long a, long ra, long ca, long b, long rb, long c, long rc) {
        for (int j = 0; j < n;) {
            int width = width(n - j);
            int i = 0;
            for (; width > L && i + ROWS <= m; i += ROWS) {
                if (width == 4 * L) {
                    wide(a + i * ra, ra, ca, b + 4L * j, rb, c + i * rc + 4L * j, rc, k);
                } else {
                    narrow(a + i * ra, ra, ca, b + 4L * j, rb, c + i * rc + 4L * j, rc, k);
                }
            }
            while (i < m) {
                int h = GemmPack.tileRows(i, m);
                Gemm.tile(width, h, true, a + i * ra, ra, ca, b + 4L * j, rb, c + i * rc + 4L * j, rc, k);
                i += h;
            }
            j += width;
        }
    }

    /** Floats of the next run of columns: four vectors where registers allow, two, or one. */
    static int width(int left) {
        return Gemm.NR == 4 * L && left >= 4 * L ? 4 * L : left >= 2 * L ? 2 * L : L;
    }

    private static void wide(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        long o1 = LB;
        long o2 = 2L * LB;
        long o3 = 3L * LB;
        long row = c;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        FloatVector c02 = FloatVector.fromMemorySegment(S, ALL, row + o2, ORDER);
        FloatVector c03 = FloatVector.fromMemorySegment(S, ALL, row + o3, ORDER);
        row += rc;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        FloatVector c12 = FloatVector.fromMemorySegment(S, ALL, row + o2, ORDER);
        FloatVector c13 = FloatVector.fromMemorySegment(S, ALL, row + o3, ORDER);
        row += rc;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        FloatVector c22 = FloatVector.fromMemorySegment(S, ALL, row + o2, ORDER);
        FloatVector c23 = FloatVector.fromMemorySegment(S, ALL, row + o3, ORDER);
        row += rc;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        FloatVector c32 = FloatVector.fromMemorySegment(S, ALL, row + o2, ORDER);
        FloatVector c33 = FloatVector.fromMemorySegment(S, ALL, row + o3, ORDER);
        long a1 = a + ra & IN;
        long a2 = a1 + ra & IN;
        long a3 = a2 + ra & IN;
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
            a = a + ca & IN;
            a1 = a1 + ca & IN;
            a2 = a2 + ca & IN;
            a3 = a3 + ca & IN;
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
    }

    private static void narrow(long a, long ra, long ca, long b, long rb, long c, long rc, int k) {
        long o1 = LB;
        long row = c;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        row += rc;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        row += rc;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        row += rc;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, row, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, row + o1, ORDER);
        long a1 = a + ra & IN;
        long a2 = a1 + ra & IN;
        long a3 = a2 + ra & IN;
        a &= IN;
        for (int p = 0; p < k; p++) {
            b &= IN;
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + o1, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a1));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a2));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a3));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            a = a + ca & IN;
            a1 = a1 + ca & IN;
            a2 = a2 + ca & IN;
            a3 = a3 + ca & IN;
            b += rb;
        }
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + o1, ORDER);
        c += rc;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + o1, ORDER);
        c += rc;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + o1, ORDER);
        c += rc;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + o1, ORDER);
    }
}
