package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import java.util.function.Supplier;

/** Products of matrices that are not packed beforehand: weights that train, gradients of weights, attention without a kernel. */
final class DenseProducts {
    /** Multiply-adds below which the call costs more than it saves. */
    private static final long SMALLEST = 1 << 16;
    /** Rows from which packing a transposed right factor pays. */
    private static final int PACK_ROWS = 16;
    /** Rows up to which a row-major right factor is read in place. */
    private static final int LOOSE_ROWS = 96;

    private final Supplier<Parallel> pool;
    private final VectorPanels panels;

    DenseProducts(Supplier<Parallel> pool, VectorPanels panels) {
        this.pool = pool;
        this.panels = panels;
    }

    /** Whether it did the product; see {@code CpuExtension.matmul}. */
    boolean run(int m, int n, int k, Matrix a, Matrix b, long c, long crs, Epilogue epilogue) {
        boolean wide = b.colStride() == 1 && b.type() == DType.F32;
        boolean tall = b.rowStride() == 1 && m >= PACK_ROWS && (b.type() == DType.F32 || b.type() == DType.BF16 && k % 2 == 0);
        boolean inRows = a.colStride() == 1 && (a.type() == DType.F32 || a.type() == DType.BF16);
        boolean inColumns = a.rowStride() == 1 && a.type() == DType.F32;
        if ((long) m * n * k < SMALLEST || !wide && !tall || !inRows && !inColumns) {
            return false;
        }
        Rows rows = new DenseRows(a, panels);
        boolean loose = wide && m <= LOOSE_ROWS;
        Operands operands = loose ? Operands.LOOSE : b.type() == DType.BF16 ? Operands.WIDENED
                : n <= Operands.NARROW.width() ? Operands.NARROW : Operands.F32;
        new Product(pool.get(), panels, panels, operands, m, n, k, rows, new DensePanels(b, n, operands, panels), c, 4 * crs, epilogue).run();
        return true;
    }
}
