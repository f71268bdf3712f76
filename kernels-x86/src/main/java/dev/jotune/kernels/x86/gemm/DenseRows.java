package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.cpu.simd.Matrix;

/** The left factor as it came: F32 rows are read in place, BF16 rows are widened, columns are transposed. */
record DenseRows(Matrix a, VectorPanels copies) implements Rows {
    @Override
    public boolean areKept() {
        return a.type() == DType.F32 && a.colStride() == 1;
    }

    @Override
    public long address(int row, int k) {
        return a.address() + (row * a.rowStride() + k * a.colStride()) * a.type().byteSize();
    }

    @Override
    public long stride() {
        return 4 * a.rowStride();
    }

    @Override
    public void fill(int row, int rows, int k, int steps, long target, long targetStride) {
        if (a.colStride() == 1) {
            copies.copy(Repack.WIDEN_ROWS, address(row, k), 2 * a.rowStride(), target, targetStride, 0, rows, steps, Workspace.arguments());
        } else {
            copies.copy(Repack.TRANSPOSE, address(row, k), 4 * a.colStride(), target, targetStride, 0, steps, rows, Workspace.arguments());
        }
    }
}
