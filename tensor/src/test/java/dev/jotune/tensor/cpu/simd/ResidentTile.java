package dev.jotune.tensor.cpu.simd;

import java.util.Locale;
import java.util.Random;

/**
 * A process that runs the tile of 6 rows and 4 vectors again and again on operands that stay in the first cache, between bursts of
 * multiply-adds on registers alone, and prints the ratio of the two rates: the largest over rounds of a few milliseconds.
 * What falls short of 1 is the tile's own: loads that hold up the sums, registers that spill, the loop around it.
 */
final class ResidentTile {
    private static final int K = 96;
    private static final int ROUNDS = 60;
    private static final int CALLS = 4000;
    private static final long WARM_UP_NANOS = 2_000_000_000L;

    private ResidentTile() {
    }

    public static void main(String[] args) {
        Random random = new Random(1);
        Buf a = Buf.random(6 * K, random);
        Buf b = Buf.random(Gemm.NR * K, random);
        Buf c = Buf.empty(6 * Gemm.NR);
        long end = System.nanoTime() + WARM_UP_NANOS;
        // Both must be compiled, or a slow burst would flatter the tile.
        for (int r = 0; r < ROUNDS || System.nanoTime() < end; r++) {
            GemmSpeed.peak();
            tiles(a, b, c);
        }
        double best = 0;
        for (int r = 0; r < ROUNDS; r++) {
            double before = GemmSpeed.peak();
            double rate = tiles(a, b, c);
            // The faster of the bursts on both sides: a slow one would flatter the tile.
            best = Math.max(best, rate / Math.max(before, GemmSpeed.peak()));
        }
        System.out.printf(Locale.ROOT, "ratio %.3f%n", best);
    }

    private static double tiles(Buf a, Buf b, Buf c) {
        long start = System.nanoTime();
        for (int i = 0; i < CALLS; i++) {
            // As packed operands lie: 6 values of A a step, a row of the panel a step.
            Tiles4.run(6, a.address(), 4, 24, b.address(), 4L * Gemm.NR, c.address(), 4L * Gemm.NR, K);
        }
        return 2.0 * 6 * Gemm.NR * K * CALLS / (System.nanoTime() - start);
    }
}
