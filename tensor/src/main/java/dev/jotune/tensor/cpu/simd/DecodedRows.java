package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;

import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** {@link RowProduct} over formats without a kernel of their own: a row is widened by its definition, then read from the first cache. */
final class DecodedRows extends RowProduct {
    private static final ThreadLocal<float[]> ROW = ThreadLocal.withInitial(() -> new float[0]);

    private final QuantizedMatrix matrix;

    DecodedRows(QuantizedMatrix matrix) {
        super(matrix.rows(), Math.toIntExact(matrix.columns()), 0, 0, null);
        this.matrix = matrix;
    }

    /** Widens one row to floats at {@code to}. */
    static void widen(QuantizedMatrix matrix, long row, long to) {
        int n = (int) matrix.columns();
        float[] values = ROW.get();
        if (values.length < n) {
            values = new float[n];
            ROW.set(values);
        }
        matrix.row(row, values);
        MemorySegment.copy(values, 0, Mem.ALL, ValueLayout.JAVA_FLOAT_UNALIGNED, to, n);
    }

    @Override
    void sums(int h, long x, long xs, long number, long row, int count, long sums) {
        long wide = Scratch.get(Scratch.GEMM_ROWS, 4L * columns);
        int done = columns / L * L;
        for (int j = 0; j < count; j++) {
            widen(matrix, number + j, wide);
            long at = sums + (long) h * LB * j;
            DenseRows.f32(wide, x, xs, columns / L, h, at);
            for (int i = 0; i < h; i++) {
                // The rest of the row joins the first lane's sum.
                for (int p = done; p < columns; p++) {
                    long lane = at + (long) LB * i;
                    Mem.f32(lane, Mem.f32(lane) + Mem.f32(x + xs * i + 4L * p) * Mem.f32(wide + 4L * p));
                }
            }
        }
    }
}
