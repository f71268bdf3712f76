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
 * Eight rows of A, read as they lie, by two vectors of a panel, for products of few rows: {@code C = S + A B}.
 *
 * <p>Eight rows as 5 + 2 + 1 read a panel three times, the last two at 8 and 4 multiply-adds for its 4 vectors: those wait for the
 * second-level cache, or for their own sums. Here a step is 16 multiply-adds for 2 vectors of B and 8 numbers of A, and each
 * number of the panel is read, and widened, once.
 *
 * <p>Two vectors are half of a panel's row. Read alone they leave half of the lines to a second pass, so that only half as many are on
 * their way from memory at a time; each step therefore touches the other half too. What was touched is returned, for a load that
 * nobody wants is left out.
 */
final class TallTiles {
    static final int ROWS = 8;
    /** Offsets below this keep an address that was masked with {@link Mem#IN} where no check is needed. */
    private static final long NEAR = (1L << 40) - 1;

    private TallTiles() {
    }

    /**
     * B in F32, rows of four vectors.
     *
     * @param as    bytes from one row of A to the next
     * @param other the half of the panel's rows that is touched
     * @param s     where sums begin, rows {@code rs} bytes apart
     * @param c     where they go, rows {@code rc} bytes apart
     */
    static int f32(long a, long as, long b, long other, long s, long rs, long c, long rc, int k) {
        long a1 = as & NEAR;
        long a2 = 2 * as & NEAR;
        long a3 = 3 * as & NEAR;
        long a4 = 4 * as & NEAR;
        long a5 = 5 * as & NEAR;
        long a6 = 6 * as & NEAR;
        long a7 = 7 * as & NEAR;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c40 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c41 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c50 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c51 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c60 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c61 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c70 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c71 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        int touched = 0;
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            other &= IN;
            touched ^= ALL.get(ValueLayout.JAVA_INT_UNALIGNED, other);
            touched ^= ALL.get(ValueLayout.JAVA_INT_UNALIGNED, other + LB);
            FloatVector b0 = FloatVector.fromMemorySegment(S, ALL, b, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(S, ALL, b + LB, ORDER);
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a1));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a2));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a3));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a4));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a5));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a6));
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a7));
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
            a += 4;
            b += 4L * LB;
            other += 4L * LB;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c40.intoMemorySegment(ALL, c, ORDER);
        c41.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c50.intoMemorySegment(ALL, c, ORDER);
        c51.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c60.intoMemorySegment(ALL, c, ORDER);
        c61.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c70.intoMemorySegment(ALL, c, ORDER);
        c71.intoMemorySegment(ALL, c + LB, ORDER);
        return touched;
    }

    /** B in BF16 pairs, see {@link Panels}: one load, a shift and a mask for the two vectors. */
    static int bf16(long a, long as, long b, long other, long s, long rs, long c, long rc, int k) {
        long a1 = as & NEAR;
        long a2 = 2 * as & NEAR;
        long a3 = 3 * as & NEAR;
        long a4 = 4 * as & NEAR;
        long a5 = 5 * as & NEAR;
        long a6 = 6 * as & NEAR;
        long a7 = 7 * as & NEAR;
        s &= IN;
        FloatVector c00 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c01 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c10 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c11 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c20 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c21 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c30 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c31 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c40 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c41 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c50 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c51 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c60 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c61 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        s = s + rs & IN;
        FloatVector c70 = FloatVector.fromMemorySegment(S, ALL, s, ORDER);
        FloatVector c71 = FloatVector.fromMemorySegment(S, ALL, s + LB, ORDER);
        int touched = 0;
        for (int p = 0; p < k; p++) {
            a &= IN;
            b &= IN;
            other &= IN;
            touched ^= ALL.get(ValueLayout.JAVA_INT_UNALIGNED, other);
            IntVector pair = IntVector.fromMemorySegment(SI, ALL, b, ORDER);
            FloatVector b0 = pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector b1 = pair.and(0xffff0000).reinterpretAsFloats();
            FloatVector x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a));
            c00 = x.fma(b0, c00);
            c01 = x.fma(b1, c01);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a1));
            c10 = x.fma(b0, c10);
            c11 = x.fma(b1, c11);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a2));
            c20 = x.fma(b0, c20);
            c21 = x.fma(b1, c21);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a3));
            c30 = x.fma(b0, c30);
            c31 = x.fma(b1, c31);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a4));
            c40 = x.fma(b0, c40);
            c41 = x.fma(b1, c41);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a5));
            c50 = x.fma(b0, c50);
            c51 = x.fma(b1, c51);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a6));
            c60 = x.fma(b0, c60);
            c61 = x.fma(b1, c61);
            x = FloatVector.broadcast(S, ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, a + a7));
            c70 = x.fma(b0, c70);
            c71 = x.fma(b1, c71);
            a += 4;
            b += 2L * LB;
            other += 2L * LB;
        }
        c &= IN;
        c00.intoMemorySegment(ALL, c, ORDER);
        c01.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c10.intoMemorySegment(ALL, c, ORDER);
        c11.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c20.intoMemorySegment(ALL, c, ORDER);
        c21.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c30.intoMemorySegment(ALL, c, ORDER);
        c31.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c40.intoMemorySegment(ALL, c, ORDER);
        c41.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c50.intoMemorySegment(ALL, c, ORDER);
        c51.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c60.intoMemorySegment(ALL, c, ORDER);
        c61.intoMemorySegment(ALL, c + LB, ORDER);
        c = c + rc & IN;
        c70.intoMemorySegment(ALL, c, ORDER);
        c71.intoMemorySegment(ALL, c + LB, ORDER);
        return touched;
    }
}
