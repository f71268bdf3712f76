package dev.jotune.testing;

import dev.jotune.tensor.HostMemory;

/**
 * The ground from which a test counts bytes. Tests share a JVM, and the collector gives back what others left unreachable at a
 * time of its own: a count that it falls into is not the test's.
 */
public final class SettledMemory {
    private static final int CALM_ROUNDS = 3;

    private SettledMemory() {}

    /** Waits until the collector has nothing more to give back; returns the bytes in use, where the peak begins anew. */
    public static long inUse() {
        long last = -1;
        for (int calm = 0; calm < CALM_ROUNDS;) {
            System.gc();
            try {
                Thread.sleep(20);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException("interrupted while waiting for the collector", e);
            }
            long now = HostMemory.bytesInUse();
            calm = now == last ? calm + 1 : 0;
            last = now;
        }
        HostMemory.resetPeak();
        return last;
    }
}
