package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.AttentionKernel.Mask;
import dev.jotune.tensor.kernels.AttentionKernel.Problem;
import dev.jotune.tensor.kernels.AttentionKernel.Segment;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Times attention over a shared prefix of 32 keys and a causal text, batch 4, heads of 64, and prints one JSON line for each
 * case and pass, as {@code bench/cpu/attention_torch.py} does: {@code AttentionRun [CASES] [TIMES] [SECONDS]}, with the threads
 * that {@code -Djotune.threads} says. "forward+backward" is what one training step needs.
 */
public final class AttentionRun {
    static final int BATCH = 4;
    static final int SIZE = 64;
    static final int PREFIX = 32;
    /** Seconds of every case that compile the kernels and are not counted. */
    private static final double WARM_UP = 1.5;

    private final AttentionKernel kernel;
    private final Problem problem;
    private final Tensor out;
    private final Tensor lse;
    private final Tensor up;
    private final Tensor dQuery;
    private final List<Optional<Tensor>> dKeys;
    private final List<Optional<Tensor>> dValues;

    /** A problem of {@code heads} query heads that share {@code groups} key/value heads, over texts of {@code time} tokens. */
    AttentionRun(int heads, int groups, int time) {
        Backend cpu = Backends.cpu();
        kernel = cpu.kernel(AttentionKernel.class).orElseThrow();
        // Rows as a projection leaves them, [B, T, heads, D]; a head is a view.
        Tensor query = normal(cpu, 1, BATCH, time, heads, SIZE).transpose(1, 2);
        Tensor key = normal(cpu, 2, BATCH, time, groups, SIZE).transpose(1, 2);
        Tensor value = normal(cpu, 3, BATCH, time, groups, SIZE).transpose(1, 2);
        Tensor prefixKey = normal(cpu, 4, 1, groups, PREFIX, SIZE);
        Tensor prefixValue = normal(cpu, 5, 1, groups, PREFIX, SIZE);
        problem = new Problem(query, List.of(new Segment(prefixKey, prefixValue, Mask.NONE),
                new Segment(key, value, new Mask(true, 0, 0, Optional.empty(), Optional.empty()))), 1 / Math.sqrt(SIZE), 0);
        out = rows(cpu, time, heads);
        lse = Tensor.empty(cpu, DType.F32, BATCH, heads, time);
        up = normal(cpu, 6, BATCH, time, heads, SIZE).transpose(1, 2);
        dQuery = rows(cpu, time, heads);
        dKeys = List.of(Optional.of(Tensor.zeros(cpu, DType.F32, prefixKey.shape())), Optional.of(rows(cpu, time, groups)));
        dValues = List.of(Optional.of(Tensor.zeros(cpu, DType.F32, prefixKey.shape())), Optional.of(rows(cpu, time, groups)));
    }

    private static Tensor normal(Backend cpu, long stream, long... shape) {
        Tensor t = Tensor.empty(cpu, DType.F32, shape);
        float[] x = new float[Math.toIntExact(t.numel())];
        for (int i = 0; i < x.length; i++) {
            x[i] = (float) Philox.normal(7, stream, i);
        }
        t.copyFrom(Tensor.of(cpu, x, shape));
        return t;
    }

    private static Tensor rows(Backend cpu, int time, int heads) {
        return Tensor.zeros(cpu, DType.F32, BATCH, time, heads, SIZE).transpose(1, 2);
    }

    void forward() {
        kernel.forward(problem, out, lse);
    }

    void backward() {
        kernel.backward(problem, out, lse, up, Optional.empty(), Optional.of(dQuery), dKeys, dValues);
    }

    /** Some number that is NaN if anything is. */
    double check() {
        double sum = 0;
        for (Tensor t : List.of(out, dQuery, dKeys.getFirst().get(), dValues.getLast().get())) {
            for (double x : t.toDoubleArray()) {
                sum += x;
            }
        }
        return sum;
    }

    public static void main(String[] args) {
        double seconds = args.length > 2 ? Double.parseDouble(args[2]) : 2;
        try (Scope all = Scope.open()) {
            for (String name : (args.length > 0 ? args[0] : "gpt2,llama").split(",")) {
                for (String time : (args.length > 1 ? args[1] : "128,512,1024").split(",")) {
                    AttentionRun run = new AttentionRun(name.equals("llama") ? 9 : 12, name.equals("llama") ? 3 : 12, Integer.parseInt(time));
                    run.report(name, time, "forward", seconds, run::forward);
                    run.report(name, time, "forward+backward", seconds, () -> {
                        run.forward();
                        run.backward();
                    });
                }
            }
        }
    }

    private void report(String name, String time, String pass, double seconds, Runnable run) {
        timed(run, WARM_UP);
        double[] sorted = timed(run, seconds);
        if (Double.isNaN(check())) {
            throw new IllegalStateException(name + " at T = " + time + " computed NaN. Its time means nothing; run the tests of attention.");
        }
        System.out.printf(Locale.ROOT, "{\"case\": \"%s\", \"T\": %s, \"pass\": \"%s\", \"threads\": %s, \"median_s\": %.7f, \"best_s\": %.7f, "
                + "\"engine\": \"jotune (%s)\"}%n", name, time, pass,
                System.getProperty("jotune.threads", "" + Runtime.getRuntime().availableProcessors()), sorted[sorted.length / 2], sorted[0],
                Backends.cpu().description());
    }

    private static double[] timed(Runnable run, double seconds) {
        double[] times = new double[1 << 16];
        int n = 0;
        for (long end = System.nanoTime() + (long) (seconds * 1e9); n < times.length && (n < 5 || System.nanoTime() < end); n++) {
            long start = System.nanoTime();
            run.run();
            times[n] = (System.nanoTime() - start) / 1e9;
        }
        double[] sorted = Arrays.copyOf(times, n);
        Arrays.sort(sorted);
        return sorted;
    }
}
