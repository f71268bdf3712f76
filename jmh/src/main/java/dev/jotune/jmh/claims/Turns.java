package dev.jotune.jmh.claims;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

/**
 * Two ways to do the same, timed in turn (A B, B A, ...): the clock of a shared machine drifts, so only the ratio within a round is
 * worth something. Where one thread computes, time is the processor's for it: what else runs on the machine takes none of that, though
 * it takes of caches and memory. Else it is the clock's.
 *
 * @param ratio median over the rounds of B's time as a multiple of A's
 * @param low its lower quartile
 * @param high its upper quartile
 * @param first median seconds of A
 * @param second median seconds of B
 */
record Turns(double ratio, double low, double high, double first, double second) {
    /** Rounds that are not counted: they run code that is yet to be compiled. */
    private static final int WARM_UP = 3;
    private static final double NANOS = 1e9;
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    static Turns of(Runnable a, Runnable b, int rounds) {
        double[] ratios = new double[rounds];
        double[] first = new double[rounds];
        double[] second = new double[rounds];
        for (int r = -WARM_UP; r < rounds; r++) {
            double before = r % 2 == 0 ? seconds(a) : 0;
            double other = seconds(b);
            double own = r % 2 == 0 ? before : seconds(a);
            if (r >= 0) {
                ratios[r] = other / own;
                first[r] = own;
                second[r] = other;
            }
        }
        return new Turns(Numbers.median(ratios), Numbers.quantile(0.25, ratios), Numbers.quantile(0.75, ratios), Numbers.median(first),
                Numbers.median(second));
    }

    private static double seconds(Runnable work) {
        long start = now();
        work.run();
        return (now() - start) / NANOS;
    }

    private static long now() {
        return Integer.getInteger("jotune.threads", 0) == 1 ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
    }
}
