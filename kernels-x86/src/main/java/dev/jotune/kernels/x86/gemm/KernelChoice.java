package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.kernels.Precision;
import java.util.Optional;

/**
 * Which kernel runs a product, and on what: vectors, or AMX tiles where there are some and rows enough.
 *
 * <p>The numbers of rows are counted, not measured. Splitting an element of a panel into three pieces takes the time of
 * ten vector multiply-adds, a product of tiles a sixteenth of one (six products: 0.4): tiles catch up at about 12 rows
 * with F32 weights. BF16 weights are read as they are kept; few rows leave both kernels waiting for memory.
 *
 * @param tiles how F32 products use tiles, empty if there are none
 */
record KernelChoice(VectorPanels vectors, AmxPanels amx, Optional<F32Products> tiles) {
    /** Rows from which tiles multiply by panels that are kept in BF16. */
    private static final int TILE_ROWS = 5;
    /** Rows from which they multiply by panels that must be split. */
    private static final int SPLIT_ROWS = 24;

    /** What the kernel reads in a product of {@code m} rows with a weight kept as pairs of BF16 or as F32. */
    Operands operands(Precision precision, boolean paired, boolean back, int m) {
        if (precision == Precision.BF16) {
            return Operands.BF16;
        }
        boolean split = tiles.isPresent() && tiles.get() != F32Products.NONE && m >= (paired ? TILE_ROWS : SPLIT_ROWS);
        if (!split) {
            return paired && !back ? Operands.WIDENED : Operands.F32;
        }
        return paired ? Operands.SPLIT_PAIRED : tiles.get() == F32Products.SIX ? Operands.SPLIT_6 : Operands.SPLIT_3;
    }

    PanelKernel kernel(Operands operands, int m) {
        boolean useful = operands.isSplit() || operands == Operands.BF16 && m >= TILE_ROWS;
        return tiles.isPresent() && useful ? amx : vectors;
    }
}
