package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.Parallel;

/**
 * The loops around a panel kernel: {@code C [M, N] = A [M, K] B [K, N]} and what joins it.
 *
 * <p>K is taken in blocks that leave a panel room in the second-level cache, in one pass if both factors are read as
 * they lie. Otherwise each block's rows and panels are made first, by all threads, then multiplied. A task is a run of
 * panels by a group of rows; a sum's order depends on the shape alone, so that results do not depend on the threads.
 */
final class Product {
    /** Rows of a panel at most: 384 KB. */
    static final int BLOCK = 1536;
    /** Bytes of panels made at a time. */
    private static final long PANEL_BYTES = 8L << 20;
    /** Multiply-adds that justify a task: about 5 microseconds. */
    private static final long TASK = 1 << 19;
    /** Tasks for each thread, so that the last ones end nearly together. */
    private static final int SHARES = 12;
    /** Rows that one task brings into order. */
    private static final int ROW_CHUNK = 48;

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
    Product(VectorPanels copies, PanelKernel kernel, Operands operands, int m, int n, int k, Rows rows, Panels panels,
            long c, long cStride, Epilogue epilogue) {
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
        int panelCount = (n + TileCode.WIDTH - 1) / TileCode.WIDTH;
        int block = blockOf(k);
        if (rows.areKept() && panels.areKept()) {
            multiply(0, panelCount, 0, k, block, 0, 0, 0);
            return;
        }
        for (int from = 0; from < k; from += block) {
            made(from, Math.min(block, k - from), panelCount);
        }
    }

    /** Steps of a block: equal parts, multiples of 64 so that pairs, AMX tiles and kept panels stay whole. */
    private int blockOf(int steps) {
        int most = operands == Operands.F32 || operands == Operands.LOOSE ? BLOCK : 2 * BLOCK;
        int parts = (steps + most - 1) / most;
        return ((steps + parts - 1) / parts + 63) / 64 * 64;
    }

    private void made(int from, int steps, int panelCount) {
        long panelBytes = (long) pad(operands.words(steps)) * TileCode.PANEL_ROW;
        int chunk = panels.areKept() ? panelCount : (int) Math.max(2L * Parallel.sharedThreads(), PANEL_BYTES / panelBytes);
        long rowBytes = (operands == Operands.BF16 ? 2L * steps : 4L * steps) + 63 & -64;
        long madeRows = rows.areKept() ? 0 : Workspace.get(Workspace.ROWS, rowBytes * m);
        long madePanels = panels.areKept() ? 0 : Workspace.get(Workspace.PANELS, panelBytes * Math.min(chunk, panelCount));
        for (int first = 0; first < panelCount; first += chunk) {
            int start = first;
            int count = Math.min(chunk, panelCount - first);
            int rowUnits = rows.areKept() || first > 0 ? 0 : (m + ROW_CHUNK - 1) / ROW_CHUNK;
            int units = rowUnits + (panels.areKept() ? 0 : count);
            Parallel.run(units, u -> {
                if (u < rowUnits) {
                    int row = u * ROW_CHUNK;
                    rows.fill(row, Math.min(ROW_CHUNK, m - row), from, steps, madeRows + row * rowBytes, rowBytes);
                } else {
                    long target = madePanels + (u - rowUnits) * panelBytes;
                    panels.fill(start + u - rowUnits, from, steps, target);
                    long written = (long) operands.words(steps) * TileCode.PANEL_ROW;
                    Raw.zero(target + written, panelBytes - written);
                }
            });
            multiply(start, count, from, steps, steps, madeRows, rowBytes, madePanels);
        }
    }

    static int pad(int words) {
        return (words + PanelKernel.STEP_PAD - 1) / PanelKernel.STEP_PAD * PanelKernel.STEP_PAD;
    }

    /** Panels {@code [first, first + count)} by all rows, over {@code steps} steps from {@code from} in blocks. */
    private void multiply(int first, int count, int from, int steps, int block, long madeRows, long rowBytes, long madePanels) {
        int height = TileCode.maxRows(TileCode.WIDTH / 16);
        int tiles = (m + height - 1) / height;
        long work = (long) m * count * TileCode.WIDTH * Math.max(1, steps);
        long wanted = Parallel.sharedThreads() == 1 ? 1 : Math.clamp(work / TASK, 1, SHARES * Parallel.sharedThreads());
        int runs = (int) Math.min(count, wanted);
        int groups = (int) Math.clamp((wanted + runs - 1) / runs, 1, tiles);
        long panelBytes = (long) pad(operands.words(steps)) * TileCode.PANEL_ROW;
        Parallel.run(runs * groups, t -> {
            int group = t / runs;
            int run = t % runs;
            int row = (int) ((long) tiles * group / groups) * height;
            int end = Math.min(m, (int) ((long) tiles * (group + 1) / groups) * height);
            int to = (int) ((long) count * (run + 1) / runs);
            for (int j = (int) ((long) count * run / runs); j < to; j++) {
                long made = panels.areKept() ? 0 : madePanels + j * panelBytes;
                panel(first + j, made, row, end - row, from, steps, block, rows.areKept() ? 0 : madeRows + row * rowBytes, rowBytes);
            }
        });
    }

    private void panel(int panel, long made, int row, int count, int from, int steps, int block, long madeRows, long rowBytes) {
        int column = panel * TileCode.WIDTH;
        int columns = Math.min(TileCode.WIDTH, n - column);
        long args = Workspace.arguments();
        long target = c + row * cStride + 4L * column;
        long right = 0;
        if (epilogue.left() != 0 && from == 0) {
            right = Workspace.get(Workspace.RIGHT, (long) epilogue.rank() * TileCode.PANEL_ROW);
            copies.copy(Repack.TRANSPOSE, epilogue.right() + column * epilogue.rightStride(), epilogue.rightStride(), right,
                    TileCode.PANEL_ROW, columns, epilogue.rank(), args);
        }
        for (int at = from; at < from + steps; at += block) {
            int part = Math.min(block, from + steps - at);
            boolean begins = at == 0;
            long b = made != 0 ? made : panels.address(panel, at);
            Raw.set(args + TileArgs.A, madeRows != 0 ? madeRows : rows.address(row, at));
            Raw.set(args + TileArgs.A_STRIDE, madeRows != 0 ? rowBytes : rows.stride());
            Raw.set(args + TileArgs.PANEL, b);
            Raw.set(args + TileArgs.PANEL_STRIDE, made != 0 ? TileCode.PANEL_ROW : panels.stride());
            Raw.set(args + TileArgs.STEPS, operands == Operands.BF16 ? (part + 1) / 2 : part);
            Raw.set(args + TileArgs.C, target);
            Raw.set(args + TileArgs.C_STRIDE, cStride);
            Raw.set(args + TileArgs.AHEAD, b + (long) pad(operands.words(part)) * TileCode.PANEL_ROW);
            Raw.set(args + TileArgs.BIAS, begins && epilogue.bias() != 0 ? epilogue.bias() + 4L * column : 0);
            boolean joins = begins && epilogue.residual() != 0;
            Raw.set(args + TileArgs.RESIDUAL, !begins ? target
                    : joins ? epilogue.residual() + row * epilogue.residualStride() + 4L * column : 0);
            Raw.set(args + TileArgs.RESIDUAL_STRIDE, begins ? epilogue.residualStride() : cStride);
            Raw.set(args + TileArgs.LEFT, begins && right != 0 ? epilogue.left() + row * epilogue.leftStride() : 0);
            Raw.set(args + TileArgs.LEFT_STRIDE, epilogue.leftStride());
            Raw.set(args + TileArgs.RIGHT, right);
            Raw.set(args + TileArgs.RANK, epilogue.rank());
            kernel.run(operands, count, columns, args);
        }
    }
}
