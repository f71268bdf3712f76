package dev.jotune.kernels.x86.gemm;

import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * The panel kernel on AMX tiles: products of BF16, and F32 in BF16 pieces. What joins a product is written to C by the
 * vector kernel first, and the tiles' sums are added to it: nothing but the sums is AMX's business.
 *
 * <p>Edges are shapes of tiles: rows and columns that are not there are neither read nor written. An element's sum has
 * the same order whatever tile it falls into.
 */
final class AmxPanels implements PanelKernel {
    private static final int TILE = 16;
    private final PanelKernel vectors;
    private final CodeInstaller installer;
    private final AtomicReferenceArray<MethodHandle> kernels = new AtomicReferenceArray<>(Operands.values().length * 4);

    AmxPanels(PanelKernel vectors, CodeInstaller installer) {
        this.vectors = vectors;
        this.installer = installer;
    }

    @Override
    public int height(Operands operands) {
        return operands.products().length == 0 ? vectors.height(operands) : 2 * TILE;
    }

    @Override
    public void run(Operands operands, int rows, int columns, Stretches ahead, long arguments) {
        if (operands.products().length == 0) {
            vectors.run(operands, rows, columns, ahead, arguments);
            return;
        }
        long a = Raw.get(arguments + TileArgs.A);
        long panel = Raw.get(arguments + TileArgs.PANEL);
        long c = Raw.get(arguments + TileArgs.C);
        int steps = (int) (Raw.get(arguments + TileArgs.STEPS) + TILE - 1) / TILE;
        boolean add = begin(rows, columns, arguments);
        long block = Workspace.get(Workspace.TILES, AmxCode.SIZE);
        Raw.set(block + AmxCode.A_STRIDE, Raw.get(arguments + TileArgs.A_STRIDE));
        Raw.set(block + AmxCode.STEPS, steps);
        Raw.set(block + AmxCode.C_STRIDE, Raw.get(arguments + TileArgs.C_STRIDE));
        Raw.set(block + AmxCode.ADD, add ? 1 : 0);
        int whole = rows / (2 * TILE);
        for (int column = 0; column < columns; column += 2 * TILE) {
            int width = Math.min(2 * TILE, columns - column);
            Raw.set(block + AmxCode.PANEL, panel + 4L * column);
            if (whole > 0) {
                part(operands, block, a, c + 4L * column, 0, whole, 2 * TILE, width);
            }
            if (rows > whole * 2 * TILE) {
                part(operands, block, a, c + 4L * column, whole * 2 * TILE, 1, rows - whole * 2 * TILE, width);
            }
        }
    }

    /** Writes what joins the product to C, if there is something; whether the sums are to be added to C. */
    private boolean begin(int rows, int columns, long arguments) {
        long residual = Raw.get(arguments + TileArgs.RESIDUAL);
        boolean joined = Raw.get(arguments + TileArgs.BIAS) != 0 || Raw.get(arguments + TileArgs.LEFT) != 0;
        boolean onto = residual == Raw.get(arguments + TileArgs.C)
                && Raw.get(arguments + TileArgs.RESIDUAL_STRIDE) == Raw.get(arguments + TileArgs.C_STRIDE);
        if (joined || residual != 0 && !onto) {
            Raw.set(arguments + TileArgs.STEPS, 0);
            vectors.run(Operands.F32, rows, columns, Stretches.NONE, arguments);
            return true;
        }
        return residual != 0;
    }

    /** Some groups of rows of one height, by a half of a panel. */
    private void part(Operands operands, long block, long a, long c, int row, int groups, int height, int width) {
        configure(block, height, width);
        Raw.set(block + AmxCode.A, a + row * Raw.get(block + AmxCode.A_STRIDE));
        Raw.set(block + AmxCode.C, c + row * Raw.get(block + AmxCode.C_STRIDE));
        Raw.set(block + AmxCode.GROUPS, groups);
        int rowTiles = height > TILE ? 2 : 1;
        int columnTiles = width > TILE ? 2 : 1;
        int index = operands.ordinal() * 4 + 2 * (rowTiles - 1) + columnTiles - 1;
        MethodHandle kernel = kernels.get(index);
        if (kernel == null) {
            kernel = installer.install(AmxCode.emit(operands, rowTiles, columnTiles));
            kernels.set(index, kernel);
        }
        try {
            kernel.invokeExact(block);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /** Shapes of the tiles: 0 to 3 are C, 4 and 5 A, 6 and 7 B. One that a kernel does not use has none. */
    private static void configure(long block, int height, int width) {
        Raw.zero(block + AmxCode.CONFIGURATION, AmxCode.ROW);
        Raw.ALL.set(ValueLayout.JAVA_BYTE, block + AmxCode.CONFIGURATION, (byte) 1);
        for (int i = 0; i < 2; i++) {
            int rows = Math.clamp(height - i * TILE, 0, TILE);
            for (int j = 0; j < 2; j++) {
                int columns = Math.clamp(width - j * TILE, 0, TILE);
                shape(block, 2 * i + j, rows, 4 * columns);
                shape(block, 6 + j, TILE, 4 * columns);
            }
            shape(block, 4 + i, rows, AmxCode.ROW);
        }
    }

    private static void shape(long block, int tile, int rows, int bytes) {
        boolean used = rows > 0 && bytes > 0;
        Raw.ALL.set(ValueLayout.JAVA_BYTE, block + AmxCode.CONFIGURATION + 16 + 2L * tile, (byte) (used ? bytes : 0));
        Raw.ALL.set(ValueLayout.JAVA_BYTE, block + AmxCode.CONFIGURATION + 48 + tile, (byte) (used ? rows : 0));
    }
}
