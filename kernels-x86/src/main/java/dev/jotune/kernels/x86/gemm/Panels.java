package dev.jotune.kernels.x86.gemm;

/** The right factor of a product, {@code [K, N]}, as panels of 64 columns: kept that way, or made for the product. */
interface Panels {
    /** Whether {@link #address} answers; otherwise {@link #fill} does. */
    boolean areKept();

    /** The row of a kept panel at which step {@code k} lies. */
    long address(int panel, int k);

    /** Bytes from one row of a kept panel to the next. */
    default long stride() {
        return TileCode.PANEL_ROW;
    }

    /** What reading or making {@code steps} steps from {@code k} of a panel goes through, as far as it is known. */
    default Stretches source(int panel, int k, int steps) {
        return Stretches.NONE;
    }

    /** Makes {@code steps} steps from {@code k} of a panel at {@code target}, in rows of {@link Operands#panelRow}. */
    void fill(int panel, int k, int steps, long target);
}
