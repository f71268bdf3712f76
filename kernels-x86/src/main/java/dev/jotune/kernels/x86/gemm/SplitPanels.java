package dev.jotune.kernels.x86.gemm;

/** F32 panels in BF16 pieces, made of whole ones that are kept or made themselves. */
record SplitPanels(Panels whole, Operands operands, VectorPanels copies) implements Panels {
    @Override
    public boolean areKept() {
        return false;
    }

    @Override
    public long address(int panel, int k) {
        return whole.address(panel, k);
    }

    @Override
    public Stretches source(int panel, int k, int steps) {
        return whole.source(panel, k, steps);
    }

    @Override
    public void fill(int panel, int k, int steps, long target) {
        long source;
        if (whole.areKept()) {
            source = whole.address(panel, k);
        } else {
            source = Workspace.get(Workspace.WHOLE, (long) steps * TileCode.PANEL_ROW);
            whole.fill(panel, k, steps, source);
        }
        copies.copy(operands.rightPieces() == 2 ? Repack.SPLIT_PANEL_2 : Repack.SPLIT_PANEL_3, source, TileCode.PANEL_ROW, target,
                TileCode.PANEL_ROW, 0, steps, TileCode.WIDTH, Workspace.arguments());
    }
}
