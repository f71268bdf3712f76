package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.Matrix;

/**
 * The right factor as it came: row-major F32, read in place or copied, or transposed F32 or pairs of BF16.
 *
 * @param operands how the kernel reads it: in place if loose
 */
record DensePanels(Matrix b, int n, Operands operands, VectorPanels copies) implements Panels {
    @Override
    public boolean areKept() {
        return operands == Operands.LOOSE;
    }

    @Override
    public long address(int panel, int k) {
        return element(k, panel * TileCode.WIDTH);
    }

    @Override
    public long stride() {
        return 4 * b.rowStride();
    }

    private long element(long row, long column) {
        return b.address() + (row * b.rowStride() + column * b.colStride()) * b.type().byteSize();
    }

    @Override
    public void fill(int panel, int k, int steps, long target) {
        int column = panel * TileCode.WIDTH;
        int columns = Math.min(TileCode.WIDTH, n - column);
        int size = b.type().byteSize();
        if (b.colStride() == 1) {
            copies.copy(Repack.COPY_ROWS, element(k, column), 4 * b.rowStride(), target, operands.panelRow(), 0, steps, columns,
                    Workspace.arguments());
        } else {
            copies.copy(Repack.TRANSPOSE, element(k, column), size * b.colStride(), target, operands.panelRow(), 0, columns,
                    steps * size / 4, Workspace.arguments());
        }
    }
}
