package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.IN;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;

/**
 * Strips of A: {@code rows} rows (5 while they last, then 4, 2, 1) as {@code [k][rows]}, one behind another.
 *
 * <p>Five rows of L columns become five vectors: lane l of vector j is element {@code e = L j + l}, of row {@code e mod 5} and
 * column {@code e / 5}. Three permutations of at most two rows each and two blends make a vector, a third of an operation for
 * each element, where moving single ones took 8 % of a training step.
 */
final class Strips {
    static final int ROWS = 5;
    /** For vector j and pair of rows q (the last a single row), at {@code 3 j + q}: the lanes to take, those of the second from L on. */
    private static final int[][] TAKE = new int[3 * ROWS][L];
    private static final boolean[][] OF_PAIR = new boolean[3 * ROWS][L];

    static {
        for (int j = 0; j < ROWS; j++) {
            for (int l = 0; l < L; l++) {
                int e = L * j + l;
                int row = e % ROWS;
                TAKE[3 * j + row / 2][l] = row % 2 * L + e / ROWS;
                OF_PAIR[3 * j + row / 2][l] = true;
            }
        }
    }

    private Strips() {
    }

    /** Rows of the strip that starts at row {@code i} of {@code m}. */
    static int rows(int i, int m) {
        int left = m - i;
        return left >= ROWS ? ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    }

    /** As {@link #pack}, of F32 with any strides, {@code h} rows from row i on: for thin matrices. Eight rows stay rows. */
    static void packAny(Matrix a, int i, int h, int k, long out) {
        int next = h == TallTiles.ROWS ? 1 : h;
        int below = h == TallTiles.ROWS ? k : 1;
        for (int r = 0; r < h; r++) {
            long row = a.address() + 4 * a.rowStride() * (i + r);
            for (int p = 0; p < k; p++) {
                Mem.f32(out + 4L * (p * next + r * below), Mem.f32(row + 4 * a.colStride() * p));
            }
        }
    }

    /** A strip of {@code h} rows, {@code step} bytes apart, columns contiguous; eight rows are read as they lie and not packed. */
    static void pack(long a, long step, int h, int k, long out) {
        if (h == TallTiles.ROWS) {
            return;
        }
        if (h == 1) {
            Mem.copy(a, out, 4L * k);
            return;
        }
        int done = h == ROWS ? k / L * L : 0;
        for (int j = 0; j < ROWS && done > 0; j++) {
            vectors(a, step, done / L, j, out + (long) LB * j);
        }
        for (int p = done; p < k; p++) {
            for (int r = 0; r < h; r++) {
                Mem.f32(out + 4L * (p * h + r), Mem.f32(a + step * r + 4L * p));
            }
        }
    }

    /** Vector j of every {@code L} columns. */
    private static void vectors(long a, long step, int count, int j, long out) {
        long row = step & 0xffffffffffL;
        IntVector take0 = IntVector.fromArray(SI, TAKE[3 * j], 0);
        IntVector take1 = IntVector.fromArray(SI, TAKE[3 * j + 1], 0);
        IntVector take2 = IntVector.fromArray(SI, TAKE[3 * j + 2], 0);
        VectorMask<Integer> pair1 = VectorMask.fromArray(SI, OF_PAIR[3 * j + 1], 0);
        VectorMask<Integer> pair2 = VectorMask.fromArray(SI, OF_PAIR[3 * j + 2], 0);
        long b = a + 2 * step;
        long c = a + 4 * step;
        for (int i = 0; i < count; i++) {
            a &= IN;
            b &= IN;
            c &= IN;
            out &= IN;
            IntVector v = take0.selectFrom(IntVector.fromMemorySegment(SI, ALL, a, ORDER),
                    IntVector.fromMemorySegment(SI, ALL, a + row, ORDER));
            IntVector w = take1.selectFrom(IntVector.fromMemorySegment(SI, ALL, b, ORDER),
                    IntVector.fromMemorySegment(SI, ALL, b + row, ORDER));
            IntVector x = IntVector.fromMemorySegment(SI, ALL, c, ORDER);
            x = take2.selectFrom(x, x);
            v.blend(w, pair1).blend(x, pair2).intoMemorySegment(ALL, out, ORDER);
            a += LB;
            b += LB;
            c += LB;
            out += ROWS * (long) LB;
        }
    }
}
