package dev.jotune.tensor.cpu.simd;

/** {@code y = x W^T} for a few rows of x and a weight as it is stored, on all threads. */
public final class SkinnyProduct {
    /** Rows up to which a weight that is read once, row by row, beats one that is packed or widened first. */
    public static final int MOST_ROWS = 10;
    /**
     * Multiply-adds that justify a task. Tasks are long runs of rows: the processor's fetching ahead starts anew
     * with each.
     */
    private static final long TASK = 1 << 18;

    private SkinnyProduct() {
    }

    /**
     * @param m  rows of x and y, at least one
     * @param xs bytes from one row of x to the next
     * @param ys bytes from one row of y to the next
     */
    public static void run(RowProduct w, int m, long x, long xs, long y, long ys) {
        long from = x;
        long step = xs;
        if (w.input() != RowProduct.Input.PLAIN) {
            step = w.inputBytes() + 63 & -64;
            from = Scratch.get(Scratch.ROW_INPUT, m * step);
            for (int i = 0; i < m; i++) {
                w.prepare(x + xs * i, from + step * i);
            }
        }
        long rows = w.rows();
        int tasks = (int) Math.clamp(m * rows * w.columns() / TASK, 1, Math.min(2L * Parallel.sharedThreads(), rows));
        if (tasks == 1) {
            w.run(m, from, step, 0, rows, y, ys);
            return;
        }
        long rowsOfX = from;
        long stepOfX = step;
        Parallel.run(tasks, t -> w.run(m, rowsOfX, stepOfX, rows * t / tasks, rows * (t + 1) / tasks, y, ys));
    }
}
