package dev.jotune.jmh.cpu;

import java.util.concurrent.atomic.DoubleAdder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * What the core can do at this moment: independent multiply-adds on registers alone. Clocks and neighbours drift, so a
 * kernel's rate means little by itself; its ratio to a burst taken a millisecond before does.
 */
public final class Burst {
    private static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    /** Chains: two units of latency four need eight; more do no harm. */
    private static final int CHAINS = 12;
    private static final int STEPS = 12_000;
    private static volatile float sink;

    private Burst() {}

    /** GFLOP/s of F32 multiply-adds on the calling thread; takes about 0.1 ms where vectors have 512 bits. */
    public static double rate() {
        long start = System.nanoTime();
        sink = run(STEPS);
        return 2.0 * CHAINS * S.length() * STEPS / (System.nanoTime() - start);
    }

    /** The sum over {@code threads} threads at once, each at its best of ten. */
    public static double rate(int threads) {
        DoubleAdder sum = new DoubleAdder();
        Thread[] all = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            all[i] = Thread.ofPlatform().start(() -> {
                double best = 0;
                for (int r = 0; r < 10; r++) {
                    best = Math.max(best, rate());
                }
                sum.add(best);
            });
        }
        for (Thread t : all) {
            try {
                t.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException("a burst was interrupted. Run it again.", e);
            }
        }
        return sum.sum();
    }

    /** Runs until compiled, which takes calls as well as time. */
    public static void warmUp() {
        long end = System.nanoTime() + 500_000_000L;
        for (int calls = 0; calls < 1000 || System.nanoTime() < end; calls++) {
            rate();
        }
    }

    private static float run(int n) {
        FloatVector x = FloatVector.broadcast(S, 0.999f);
        FloatVector y = FloatVector.broadcast(S, 1e-3f);
        FloatVector a = x;
        FloatVector b = x;
        FloatVector c = x;
        FloatVector d = x;
        FloatVector e = x;
        FloatVector f = x;
        FloatVector g = x;
        FloatVector h = x;
        FloatVector i = x;
        FloatVector j = x;
        FloatVector k = x;
        FloatVector l = x;
        for (int s = 0; s < n; s++) {
            a = a.fma(x, y);
            b = b.fma(x, y);
            c = c.fma(x, y);
            d = d.fma(x, y);
            e = e.fma(x, y);
            f = f.fma(x, y);
            g = g.fma(x, y);
            h = h.fma(x, y);
            i = i.fma(x, y);
            j = j.fma(x, y);
            k = k.fma(x, y);
            l = l.fma(x, y);
        }
        return a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(i).add(j).add(k).add(l).lane(0);
    }
}
