package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.Parallel;

/**
 * The loops around a panel kernel: {@code C [M, N] = A [M, K] B [K, N]} and what joins it.
 *
 * <p>Rows that must be made (rounded, transposed) are made first, by all threads. A task is a run of panels by a group of
 * rows. It goes through K in blocks that leave a panel room in the second-level cache; a panel that must be made is made
 * there, and used while it is still near. A sum's order depends on the shape alone: results do not depend on the threads.
 */
final class Product {
    /** Rows of a panel at most: 384 KB. */
    static final int BLOCK = 1536;
    /** Bytes of rows made at a time. */
    private static final long ROW_BYTES = 16L << 20;
    /** Rows by which a panel must be multiplied to take as long as making it. */
    private static final int MAKING = 24;
    /** Multiply-adds that justify a task: about 5 microseconds. */
    private static final long TASK = 1 << 19;
    /** Tasks for each thread, so that the last ones end nearly together. */
    private static final int SHARES = 64;
    /** Bytes of a vector. */
    private static final int LINE = 64;
    /** Rows that one task brings into order. */
    private static final int ROW_CHUNK = 48;

    private final Parallel pool;
    private final VectorPanels copies;
    private final PanelKernel kernel;
    private final Operands operands;
    private final int m;
    private final int n;
    private final int k;
    private final long c;
    private final long cStride;
    private final Epilogue epilogue;
    private final Rows rows;
    private final Panels panels;

    /** @param cStride bytes */
    Product(Parallel pool, VectorPanels copies, PanelKernel kernel, Operands operands, int m, int n, int k, Rows rows, Panels panels,
            long c, long cStride, Epilogue epilogue) {
        this.pool = pool;
        this.copies = copies;
        this.kernel = kernel;
        this.operands = operands;
        this.m = m;
        this.n = n;
        this.k = k;
        this.rows = rows;
        this.panels = panels;
        this.c = c;
        this.cStride = cStride;
        this.epilogue = epilogue;
    }

    void run() {
        int block = blockOf();
        if (rows.areKept()) {
            multiply(0, k, block, 0, 0);
            return;
        }
        int part = Math.clamp(ROW_BYTES / (operands.rowBytes(block) * m) * block, block, Math.max(block, k));
        for (int from = 0; from < k; from += part) {
            int first = from;
            int steps = Math.min(part, k - from);
            long rowBytes = operands.rowBytes(steps) + 63 & -64;
            long made = Workspace.get(Workspace.ROWS, rowBytes * m);
            pool.execute((m + ROW_CHUNK - 1) / ROW_CHUNK, u -> {
                int row = u * ROW_CHUNK;
                rows.fill(row, Math.min(ROW_CHUNK, m - row), first, steps, made + row * rowBytes, rowBytes);
            });
            multiply(from, steps, block, made, rowBytes);
        }
    }

    /**
     * Steps of a block: equal parts, multiples of 64 so that pairs, AMX tiles and kept panels stay whole. A panel that is made is made from
     * many places, which the few tiles of a low product have no time to fetch for more steps.
     */
    private int blockOf() {
        int most = Math.min(operands.isWide() || !panels.areKept() ? BLOCK : 2 * BLOCK, 2 * BLOCK / operands.leftPieces());
        int parts = (k + most - 1) / most;
        return ((k + parts - 1) / parts + 63) / 64 * 64;
    }

    static int pad(int words) {
        return (words + PanelKernel.STEP_PAD - 1) / PanelKernel.STEP_PAD * PanelKernel.STEP_PAD;
    }

    /** All panels by all rows, over {@code steps} steps from {@code from} in blocks. */
    private void multiply(int from, int steps, int block, long madeRows, long rowBytes) {
        int count = (n + TileCode.WIDTH - 1) / TileCode.WIDTH;
        int height = kernel.height(operands);
        int tiles = (m + height - 1) / height;
        int threads = pool.threads();
        long wanted = Math.clamp((long) m * n * steps / TASK, 1, threads == 1 ? 1 : SHARES * threads);
        int runs = (int) Math.min(count, wanted);
        // Panels that are read in place are shared by any groups of rows. Those that are made are made once, but for the
        // last ones where they do not come out even for the threads.
        int shared = panels.areKept() ? runs : runs < count ? 0 : count % threads;
        int groups = panels.areKept() ? Math.clamp((wanted + runs - 1) / runs, 1, tiles) : groups(shared, tiles * height);
        int alone = runs - shared;
        pool.execute(alone + shared * groups, t -> {
            int run = run(t, alone, shared);
            int group = t < alone ? 0 : (t - alone) / shared;
            int parts = t < alone ? 1 : groups;
            int row = (int) ((long) tiles * group / parts) * height;
            int end = Math.min(m, (int) ((long) tiles * (group + 1) / parts) * height);
            int to = (int) ((long) count * (run + 1) / runs);
            // Threads take tasks in turn, so that this one's next is as many further as there are threads.
            int later = t + threads;
            int next = later >= alone + shared * groups ? -1
                    : (int) ((long) count * run(later, alone, shared) / runs);
            for (int j = (int) ((long) count * run / runs); j < to; j++) {
                panel(j, j + 1 < to ? j + 1 : next, row, end - row, from, steps, block, madeRows == 0 ? 0 : madeRows + row * rowBytes, rowBytes);
            }
        });
    }

    /** Which run of panels a task multiplies: the first {@code alone} tasks have one each, the others share theirs. */
    private static int run(int task, int alone, int shared) {
        return task < alone ? task : alone + (task - alone) % shared;
    }

    /**
     * Groups of rows for {@code shared} panels that each group makes for itself: more of them even out the threads' work
     * and repeat the making, which costs as much as {@code MAKING} rows.
     */
    private int groups(int shared, int rows) {
        int threads = pool.threads();
        int best = 1;
        double least = Double.MAX_VALUE;
        for (int groups = 1; groups <= 4 * threads && rows / groups >= MAKING; groups++) {
            double time = (double) ((shared * groups + threads - 1) / threads) * ((double) rows / groups + MAKING);
            if (time < 0.99 * least) {
                least = time;
                best = groups;
            }
        }
        return best;
    }

    /** @param next the panel whose source is fetched meanwhile, or -1 */
    private void panel(int panel, int next, int row, int count, int from, int steps, int block, long madeRows, long rowBytes) {
        int column = panel * TileCode.WIDTH;
        int columns = Math.min(TileCode.WIDTH, n - column);
        long args = Workspace.arguments();
        long target = c + row * cStride + 4L * column;
        long scale = epilogue.scale() == 1 ? 0 : 1L << 32 | Float.floatToRawIntBits(epilogue.scale()) & 0xffffffffL;
        long right = 0;
        if (epilogue.left() != 0 && from == 0) {
            right = Workspace.get(Workspace.RIGHT, (long) epilogue.rank() * TileCode.PANEL_ROW);
            if (epilogue.turned()) {
                copies.copy(Repack.COPY_ROWS, epilogue.right() + 4L * column, epilogue.rightStride(), right, TileCode.PANEL_ROW, 0,
                        epilogue.rank(), columns, args);
            } else {
                copies.copy(Repack.TRANSPOSE, epilogue.right() + column * epilogue.rightStride(), epilogue.rightStride(), right,
                        TileCode.PANEL_ROW, 0, columns, epilogue.rank(), args);
            }
        }
        for (int at = from; at < from + steps; at += block) {
            int part = Math.min(block, from + steps - at);
            boolean begins = at == 0;
            long b = panels.areKept() ? panels.address(panel, at) : made(panel, at, part);
            Raw.set(args + TileArgs.A, madeRows != 0 ? madeRows + operands.rowBytes(at - from) : rows.address(row, at));
            Raw.set(args + TileArgs.A_STRIDE, madeRows != 0 ? rowBytes : rows.stride());
            Raw.set(args + TileArgs.PANEL, b);
            Raw.set(args + TileArgs.PANEL_STRIDE, panels.areKept() ? panels.stride() : operands.panelRow());
            Raw.set(args + TileArgs.STEPS, operands.products().length > 0 ? (part + 1) / 2 : part);
            Raw.set(args + TileArgs.C, target);
            Raw.set(args + TileArgs.C_STRIDE, cStride);
            Raw.set(args + TileArgs.BIAS, begins && epilogue.bias() != 0 ? epilogue.bias() + 4L * column : 0);
            boolean joins = begins && epilogue.residual() != 0;
            Raw.set(args + TileArgs.RESIDUAL, !begins ? target
                    : joins ? epilogue.residual() + row * epilogue.residualStride() + 4L * column : 0);
            Raw.set(args + TileArgs.RESIDUAL_STRIDE, begins ? epilogue.residualStride() : cStride);
            Raw.set(args + TileArgs.LEFT, begins && right != 0 ? epilogue.left() + row * epilogue.leftStride() : 0);
            Raw.set(args + TileArgs.LEFT_STRIDE, epilogue.leftStride());
            Raw.set(args + TileArgs.RIGHT, right);
            Raw.set(args + TileArgs.RANK, epilogue.rank());
            Raw.set(args + TileArgs.SCALE, scale);
            int then = at + part;
            Stretches ahead = then < from + steps ? panels.source(panel, then, Math.min(block, from + steps - then))
                    : n <= operands.width() ? rowsAhead(row, count, columns, part)
                    : next < 0 ? Stretches.NONE : panels.source(next, from, Math.min(block, steps));
            kernel.run(operands, count, columns, ahead, args);
        }
    }

    /** With a single panel it is rows that come from afar: while a tile is multiplied, those of the next one, where they lie in one stretch. */
    private Stretches rowsAhead(int row, int count, int columns, int steps) {
        if (!rows.areKept() || rows.stride() != 4L * steps || steps < k) {
            return Stretches.NONE;
        }
        int height = TileCode.maxRows((columns + TileCode.LANES - 1) / TileCode.LANES);
        long bytes = height * rows.stride();
        return new Stretches(count / height, rows.address(row + height, 0), bytes, bytes);
    }

    private long made(int panel, int at, int steps) {
        long written = (long) operands.madeWords(steps) * operands.panelRow();
        long bytes = (long) pad(operands.words(steps)) * operands.panelRow();
        // Copies write whole vectors: the last row of a narrow panel goes beyond its end.
        long target = Workspace.get(Workspace.PANEL, bytes + LINE);
        panels.fill(panel, at, steps, target);
        Raw.zero(target + written, bytes - written);
        return target;
    }
}
