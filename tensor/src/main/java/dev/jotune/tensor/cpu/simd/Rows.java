package dev.jotune.tensor.cpu.simd;

/** Splits row-wise work over the threads. */
final class Rows {
    /** Elements (times their cost) that justify a task: about 20 microseconds. */
    private static final long TASK = 1 << 16;

    /** Work on the rows {@code [from, to)}. */
    @FunctionalInterface
    interface Range {
        void run(long from, long to);
    }

    private Rows() {
    }

    /** Runs all rows of {@code n} elements; {@code cost} is the price of an element, 1 for a copy. */
    static void run(long rows, long n, int cost, Range range) {
        long tasks = Math.min(Math.min(rows, 8L * Parallel.sharedThreads()), rows * n * cost / TASK);
        if (tasks <= 1) {
            range.run(0, rows);
            return;
        }
        int count = (int) tasks;
        Parallel.run(count, t -> range.run(rows * t / count, rows * (t + 1) / count));
    }

    /** Chunks of rows whose partial sums are added in order: a number that depends on the rows alone. */
    static int chunks(long rows) {
        return (int) Math.max(1, Math.min(64, rows / 16));
    }

    /** target = sum over chunks of partial rows of n floats, in order. */
    static void sumChunks(long partials, int chunks, int n, long target) {
        Convert.f32ToF32(partials, target, n);
        for (int c = 1; c < chunks; c++) {
            Arithmetic.add(target, partials + 4L * c * n, target, n);
        }
    }
}
