package dev.jotune.kernels.x86.gemm;

/** F32 rows that lie contiguous, in BF16 pieces. */
record SplitRows(long address, long stride, Operands operands, VectorPanels copies) implements Rows {
    @Override
    public boolean areKept() {
        return false;
    }

    @Override
    public long address(int row, int k) {
        return address + row * stride + 4L * k;
    }

    @Override
    public void fill(int row, int rows, int k, int steps, long target, long targetStride) {
        copies.copy(operands.leftPieces() == 2 ? Repack.SPLIT_ROWS_2 : Repack.SPLIT_ROWS_3, address(row, k), stride, target, targetStride, 0,
                rows, steps, Workspace.arguments());
    }
}
