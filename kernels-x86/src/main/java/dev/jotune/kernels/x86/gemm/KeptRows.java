package dev.jotune.kernels.x86.gemm;

/**
 * F32 rows that lie contiguous: read in place, or rounded to BF16.
 *
 * @param stride bytes
 * @param copies what rounds them; null to read them in place
 */
record KeptRows(long address, long stride, VectorPanels copies) implements Rows {
    @Override
    public boolean areKept() {
        return copies == null;
    }

    @Override
    public long address(int row, int k) {
        return address + row * stride + 4L * k;
    }

    @Override
    public void fill(int row, int rows, int k, int steps, long target, long targetStride) {
        copies.copy(Repack.ROUND_ROWS, address(row, k), stride, target, targetStride, 0, rows, steps, Workspace.arguments());
    }
}
