package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import jdk.incubator.vector.IntVector;

/**
 * Transposes squares of L x L 32-bit elements in registers: stage d exchanges, between rows i and i + d, the lanes
 * whose number has bit d set with those where it is clear. Eight times faster than moving single elements when a
 * weight {@code [n, k]} is packed.
 */
final class Transpose {
    private static final int[] LOW1 = low(1);
    private static final int[] HIGH1 = high(1);
    private static final int[] LOW2 = low(2);
    private static final int[] HIGH2 = high(2);
    private static final int[] LOW4 = low(4);
    private static final int[] HIGH4 = high(4);

    private Transpose() {
    }

    // Two-vector lane numbers: below L from the first, L and above from the second.
    static int[] low(int d) {
        int[] lanes = new int[L];
        for (int l = 0; l < L; l++) {
            lanes[l] = (l & d) == 0 ? l : L + l - d;
        }
        return lanes;
    }

    static int[] high(int d) {
        int[] lanes = new int[L];
        for (int l = 0; l < L; l++) {
            lanes[l] = (l & d) == 0 ? (l + d) % L : L + l;
        }
        return lanes;
    }

    /**
     * Turns L rows (step {@code rs} bytes) of {@code squares * L} elements into rows of L elements, step
     * {@code outStep} bytes.
     */
    static void run(long from, long rs, long out, long outStep, int squares) {
        if (L == 16) {
            long half = Scratch.get(Scratch.TRANSPOSE, 4L * L * L);
            for (int s = 0; s < squares; s++) {
                Transpose16.near(from, rs, half);
                Transpose16.far(half, out, outStep);
                from += LB;
                out += L * outStep;
            }
        } else if (L == 8) {
            lanes8(from, rs, out, outStep, squares);
        } else {
            lanes4(from, rs, out, outStep, squares);
        }
    }

    private static void lanes8(long from, long rs, long out, long outStep, int squares) {
        IntVector low1 = IntVector.fromArray(SI, LOW1, 0);
        IntVector high1 = IntVector.fromArray(SI, HIGH1, 0);
        IntVector low2 = IntVector.fromArray(SI, LOW2, 0);
        IntVector high2 = IntVector.fromArray(SI, HIGH2, 0);
        IntVector low4 = IntVector.fromArray(SI, LOW4, 0);
        IntVector high4 = IntVector.fromArray(SI, HIGH4, 0);
        for (int s = 0; s < squares; s++) {
            long row = from;
            IntVector r0 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r1 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r2 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r3 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r4 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r5 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r6 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r7 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            IntVector t = low1.selectFrom(r0, r1);
            r1 = high1.selectFrom(r0, r1);
            r0 = t;
            t = low1.selectFrom(r2, r3);
            r3 = high1.selectFrom(r2, r3);
            r2 = t;
            t = low1.selectFrom(r4, r5);
            r5 = high1.selectFrom(r4, r5);
            r4 = t;
            t = low1.selectFrom(r6, r7);
            r7 = high1.selectFrom(r6, r7);
            r6 = t;
            t = low2.selectFrom(r0, r2);
            r2 = high2.selectFrom(r0, r2);
            r0 = t;
            t = low2.selectFrom(r1, r3);
            r3 = high2.selectFrom(r1, r3);
            r1 = t;
            t = low2.selectFrom(r4, r6);
            r6 = high2.selectFrom(r4, r6);
            r4 = t;
            t = low2.selectFrom(r5, r7);
            r7 = high2.selectFrom(r5, r7);
            r5 = t;
            t = low4.selectFrom(r0, r4);
            r4 = high4.selectFrom(r0, r4);
            r0 = t;
            t = low4.selectFrom(r1, r5);
            r5 = high4.selectFrom(r1, r5);
            r1 = t;
            t = low4.selectFrom(r2, r6);
            r6 = high4.selectFrom(r2, r6);
            r2 = t;
            t = low4.selectFrom(r3, r7);
            r7 = high4.selectFrom(r3, r7);
            r3 = t;
            r0.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r1.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r2.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r3.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r4.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r5.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r6.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r7.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            from += LB;
        }
    }

    private static void lanes4(long from, long rs, long out, long outStep, int squares) {
        IntVector low1 = IntVector.fromArray(SI, LOW1, 0);
        IntVector high1 = IntVector.fromArray(SI, HIGH1, 0);
        IntVector low2 = IntVector.fromArray(SI, LOW2, 0);
        IntVector high2 = IntVector.fromArray(SI, HIGH2, 0);
        for (int s = 0; s < squares; s++) {
            long row = from;
            IntVector r0 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r1 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r2 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            row += rs;
            IntVector r3 = IntVector.fromMemorySegment(SI, ALL, row, ORDER);
            IntVector t = low1.selectFrom(r0, r1);
            r1 = high1.selectFrom(r0, r1);
            r0 = t;
            t = low1.selectFrom(r2, r3);
            r3 = high1.selectFrom(r2, r3);
            r2 = t;
            t = low2.selectFrom(r0, r2);
            r2 = high2.selectFrom(r0, r2);
            r0 = t;
            t = low2.selectFrom(r1, r3);
            r3 = high2.selectFrom(r1, r3);
            r1 = t;
            r0.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r1.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r2.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            r3.intoMemorySegment(ALL, out, ORDER);
            out += outStep;
            from += LB;
        }
    }
}
