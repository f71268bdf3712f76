package dev.jotune.kernels.x86.gemm;

import java.lang.invoke.MethodHandle;
import java.util.concurrent.atomic.AtomicReferenceArray;

/** The panel kernel on AVX-512 registers, and the copies that go with it; each emitted when it is first needed. */
final class VectorPanels implements PanelKernel {
    private static final int MAX_ROWS = 12;
    private static final int MAX_VECTORS = 4;
    private final CodeInstaller installer;
    private final AtomicReferenceArray<MethodHandle> tiles =
            new AtomicReferenceArray<>(Operands.values().length * MAX_ROWS * MAX_VECTORS * 3);
    private final AtomicReferenceArray<MethodHandle> copies = new AtomicReferenceArray<>(Repack.values().length);

    VectorPanels(CodeInstaller installer) {
        this.installer = installer;
    }

    @Override
    public int height(Operands operands) {
        return TileCode.maxRows(MAX_VECTORS);
    }

    @Override
    public void run(Operands operands, int rows, int columns, Stretches ahead, long arguments) {
        int vectors = (columns + 15) / 16;
        int height = TileCode.maxRows(vectors);
        int whole = rows / height;
        int rest = rows - whole * height;
        // Two tiles of middling height read the panel at a better rate than a whole one and a low one.
        int low = whole > 0 && rest > 0 && 2 * rest < height ? (height + rest) / 2 : 0;
        if (low > 0) {
            whole--;
            rest += height - low;
        }
        Raw.set(arguments + TileArgs.MASK, mask(columns));
        int left = whole - fetching(operands, height, whole, vectors, ahead, arguments);
        tiles(operands, height, left, vectors, 0, arguments);
        tiles(operands, low, low > 0 ? 1 : 0, vectors, 0, arguments);
        tiles(operands, rest, rest > 0 ? 1 : 0, vectors, 0, arguments);
    }

    /**
     * Runs the first of {@code number} tiles, in whose rounds {@code ahead} is fetched: a line in each round, or four where the tiles would
     * not suffice. A stretch takes as many tiles as its lines need. Returns how many ran.
     */
    private int fetching(Operands operands, int height, int number, int vectors, Stretches ahead, long arguments) {
        int rounds = (int) Raw.get(arguments + TileArgs.STEPS) / 4;
        if (number == 0 || rounds == 0 || ahead.count() == 0) {
            return 0;
        }
        int slow = (ahead.lines() + rounds - 1) / rounds;
        int quick = (ahead.lines() + 4 * rounds - 1) / (4 * rounds);
        boolean enough = slow == quick || (long) slow * ahead.count() <= number;
        int each = enough ? slow : quick;
        int stretches = Math.min(ahead.count(), number / each);
        for (int i = 0; i < stretches; i++) {
            Raw.set(arguments + TileArgs.AHEAD, ahead.address(i));
            tiles(operands, height, each, vectors, enough ? 1 : 2, arguments);
        }
        return stretches * each;
    }

    /** Runs {@code number} tiles and moves the block on to the rows below them. */
    private void tiles(Operands operands, int height, int number, int vectors, int ahead, long arguments) {
        if (number > 0) {
            Raw.set(arguments + TileArgs.TILES, number);
            call(tile(operands, height, vectors, ahead), arguments);
            // Those of the other operands are in the block, where the kernel has moved them itself.
            move(arguments, TileArgs.A, TileArgs.A_STRIDE, (long) number * height);
            move(arguments, TileArgs.C, TileArgs.C_STRIDE, (long) number * height);
        }
    }

    private static void move(long arguments, int place, int stride, long rows) {
        Raw.set(arguments + place, Raw.get(arguments + place) + rows * Raw.get(arguments + stride));
    }

    private static long mask(int columns) {
        return (1L << (columns - 1) % 16 + 1) - 1;
    }

    private MethodHandle tile(Operands operands, int rows, int vectors, int ahead) {
        int index = ((operands.ordinal() * MAX_ROWS + rows - 1) * MAX_VECTORS + vectors - 1) * 3 + ahead;
        MethodHandle kernel = tiles.get(index);
        if (kernel == null) {
            kernel = installer.install(TileCode.emit(operands, rows, vectors, ahead == 2 ? 4 : ahead));
            tiles.set(index, kernel);
        }
        return kernel;
    }

    /**
     * Copies {@code rows} rows of {@code columns} words; see {@link Repack} and {@link RepackCode}. Strides in bytes.
     *
     * @param ahead how far behind the source lies what the next copy will read, for the caches to fetch
     */
    void copy(Repack kind, long source, long sourceStride, long target, long targetStride, long ahead, int rows, int columns,
            long arguments) {
        if (rows <= 0 || columns <= 0) {
            return;
        }
        Raw.set(arguments + RepackCode.SOURCE, source);
        Raw.set(arguments + RepackCode.SOURCE_STRIDE, sourceStride);
        Raw.set(arguments + RepackCode.TARGET, target);
        Raw.set(arguments + RepackCode.TARGET_STRIDE, targetStride);
        Raw.set(arguments + RepackCode.ROWS, rows);
        Raw.set(arguments + RepackCode.COLUMNS, columns);
        Raw.set(arguments + RepackCode.MASK, mask(columns));
        Raw.set(arguments + RepackCode.AHEAD, ahead);
        MethodHandle kernel = copies.get(kind.ordinal());
        if (kernel == null) {
            kernel = installer.install(RepackCode.emit(kind));
            copies.set(kind.ordinal(), kernel);
        }
        call(kernel, arguments);
    }

    static void call(MethodHandle kernel, long arguments) {
        try {
            kernel.invokeExact(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
