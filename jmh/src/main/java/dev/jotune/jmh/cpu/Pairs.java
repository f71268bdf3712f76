package dev.jotune.jmh.cpu;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Candidates in turn, in one process: each round runs every one of them for a few milliseconds, a multiply-add burst
 * before each, in an order that rotates. What is compared later is the ratio within a round, never two medians of
 * different minutes.
 */
public final class Pairs {
    /**
     * Something to time.
     *
     * @param engine who computes it, with version and code path
     * @param name   short, the same in every run
     * @param work   one call
     * @param amount what one call does, in {@code unit} seconds: 1e9 floating-point operations for GFLOP/s
     */
    public record Candidate(String engine, String name, Runnable work, double amount) {}

    private static final long TURN_NANOS = 6_000_000;
    private static final int BURSTS = 3;
    private static final long LONGEST_NANOS = 5_000_000_000L;
    private static final int FEWEST_ROUNDS = 3;

    private Pairs() {}

    /** Runs everybody until compiled, then {@code rounds} rounds; prints a line for each candidate. */
    public static void run(String bench, String name, String unit, List<Candidate> candidates, int rounds, long warmUpNanos,
            Map<String, Object> about) {
        int n = candidates.size();
        int[] calls = new int[n];
        for (int i = 0; i < n; i++) {
            calls[i] = warmUp(candidates.get(i).work(), warmUpNanos);
        }
        double[][] rates = new double[n][rounds];
        double[][] bursts = new double[n][rounds];
        long deadline = System.nanoTime() + LONGEST_NANOS;
        int done = 0;
        // The vocabulary's product takes so long that fewer rounds must do.
        for (int round = 0; round < rounds && (round < FEWEST_ROUNDS || System.nanoTime() < deadline); round++, done++) {
            for (int turn = 0; turn < n; turn++) {
                int i = (turn + round) % n;
                Candidate candidate = candidates.get(i);
                bursts[i][round] = burst();
                if (calls[i] > 1) {
                    // Once untimed: its operands are then where its own repetition leaves them.
                    candidate.work().run();
                }
                long start = System.nanoTime();
                for (int c = 0; c < calls[i]; c++) {
                    candidate.work().run();
                }
                rates[i][round] = candidate.amount() * calls[i] / ((System.nanoTime() - start) / 1e9);
            }
        }
        for (int i = 0; i < n; i++) {
            Map<String, Object> line = Log.line(bench, name, candidates.get(i).engine(), candidates.get(i).name());
            line.putAll(about);
            line.put("unit", unit);
            line.put("rates", rounded(rates[i], done));
            line.put("burst", rounded(bursts[i], done));
            Log.print(line);
        }
    }

    // Returns how many calls make a turn.
    private static int warmUp(Runnable work, long nanos) {
        long start = System.nanoTime();
        long last = start;
        long best = Long.MAX_VALUE;
        // Three calls at least, however long they take.
        for (int calls = 0; calls < 3 || last - start < nanos; calls++) {
            work.run();
            long now = System.nanoTime();
            best = Math.min(best, now - last);
            last = now;
        }
        return (int) Math.clamp(TURN_NANOS / Math.max(best, 1), 1, 100_000);
    }

    private static double burst() {
        double best = 0;
        for (int i = 0; i < BURSTS; i++) {
            best = Math.max(best, Burst.rate());
        }
        return best;
    }

    private static List<Double> rounded(double[] values, int count) {
        List<Double> out = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            out.add(Log.rounded(values[i]));
        }
        return out;
    }
}
