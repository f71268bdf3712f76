package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.kernels.SparsePattern;
import jdk.incubator.vector.FloatVector;

/**
 * Products with a sparse matrix. Each number of it is multiplied with a run of M neighbouring floats, so that vectors are
 * full however scattered the numbers stand; a row's sums stay in four registers until its last number.
 */
public final class Sparse {
    /** Columns of x that a pass over the matrix takes: the rows of x then stay in the second cache. */
    private static final int TILE = 4 * L;

    private Sparse() {
    }

    /** {@code y [rows, m] = S x [columns, m]}. */
    public static void product(SparsePattern s, long values, long x, int m, long y) {
        int tiles = (m + TILE - 1) / TILE;
        for (int t = 0; t < tiles; t++) {
            int from = t * TILE;
            int width = Math.min(TILE, m - from);
            long cost = s.rows() == 0 ? 0 : 1 + (long) s.size() * width / s.rows();
            Rows.run(s.rows(), cost, 1, (first, last) -> {
                for (int row = (int) first; row < last; row++) {
                    long out = y + 4L * ((long) row * m + from);
                    if (width == TILE) {
                        tile(s, row, values, x + 4L * from, m, out);
                    } else {
                        tail(s, row, values, x + 4L * from, m, width, out);
                    }
                }
            });
        }
    }

    private static void tile(SparsePattern s, int row, long values, long x, int m, long out) {
        FloatVector a = FloatVector.zero(S);
        FloatVector b = FloatVector.zero(S);
        FloatVector c = FloatVector.zero(S);
        FloatVector d = FloatVector.zero(S);
        int end = s.start(row + 1);
        for (int i = s.start(row); i < end; i++) {
            FloatVector v = FloatVector.broadcast(S, Mem.f32(values + 4L * s.entry(i)));
            long at = x + 4L * s.column(i) * m;
            a = FloatVector.fromMemorySegment(S, ALL, at, ORDER).fma(v, a);
            b = FloatVector.fromMemorySegment(S, ALL, at + LB, ORDER).fma(v, b);
            c = FloatVector.fromMemorySegment(S, ALL, at + 2L * LB, ORDER).fma(v, c);
            d = FloatVector.fromMemorySegment(S, ALL, at + 3L * LB, ORDER).fma(v, d);
        }
        a.intoMemorySegment(ALL, out, ORDER);
        b.intoMemorySegment(ALL, out + LB, ORDER);
        c.intoMemorySegment(ALL, out + 2L * LB, ORDER);
        d.intoMemorySegment(ALL, out + 3L * LB, ORDER);
    }

    /** Fewer columns than a tile: whole vectors, then one by one, as in decoding. */
    private static void tail(SparsePattern s, int row, long values, long x, int m, int width, long out) {
        int begin = s.start(row);
        int end = s.start(row + 1);
        int j = 0;
        for (; j + L <= width; j += L) {
            FloatVector sum = FloatVector.zero(S);
            for (int i = begin; i < end; i++) {
                FloatVector v = FloatVector.broadcast(S, Mem.f32(values + 4L * s.entry(i)));
                sum = FloatVector.fromMemorySegment(S, ALL, x + 4L * ((long) s.column(i) * m + j), ORDER).fma(v, sum);
            }
            sum.intoMemorySegment(ALL, out + 4L * j, ORDER);
        }
        for (; j < width; j++) {
            float sum = 0;
            for (int i = begin; i < end; i++) {
                sum = Math.fma(Mem.f32(values + 4L * s.entry(i)), Mem.f32(x + 4L * ((long) s.column(i) * m + j)), sum);
            }
            Mem.f32(out + 4L * j, sum);
        }
    }

    /** {@code out[k] = dy[row k] . x[column k]} over m floats. */
    public static void products(SparsePattern s, long dy, long x, int m, long out) {
        long cost = s.rows() == 0 ? 0 : 1 + (long) s.size() * m / s.rows();
        Rows.run(s.rows(), cost, 1, (first, last) -> {
            for (int row = (int) first; row < last; row++) {
                for (int i = s.start(row); i < s.start(row + 1); i++) {
                    Mem.f32(out + 4L * s.entry(i), dot(dy + 4L * row * m, x + 4L * s.column(i) * m, m));
                }
            }
        });
    }

    private static float dot(long a, long b, int n) {
        FloatVector sum = FloatVector.zero(S);
        int i = 0;
        for (; i + L <= n; i += L) {
            sum = FloatVector.fromMemorySegment(S, ALL, a + 4L * i, ORDER)
                    .fma(FloatVector.fromMemorySegment(S, ALL, b + 4L * i, ORDER), sum);
        }
        float total = Lanes.sum(sum);
        for (; i < n; i++) {
            total = Math.fma(Mem.f32(a + 4L * i), Mem.f32(b + 4L * i), total);
        }
        return total;
    }
}
