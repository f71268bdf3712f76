package dev.jotune.jmh.gpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.KernelTime;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * Takes times on one backend. On a device whose kernels carry events (CUDA's and OpenCL's), a run takes what they say of kernels, fills and
 * copies, the gaps between them not counted; the time by the wall clock of many runs and one wait stands beside it and shows such gaps.
 */
final class Clock {
    /** Runs that count, at least: their median is reported. */
    private static final int LEAST = 20;
    private static final int MOST = 200;
    private static final int WARM_UP = 3;
    /** Fewer than a driver queues before it makes the caller wait. */
    private static final int LAUNCHES = 500;

    private final Setting setting;
    private final Tensor mark;

    /**
     * What was measured, in microseconds a run.
     *
     * @param median the row's time
     * @param wall of runs in a row with one wait at the end, divided by their number
     * @param runs that {@code median} was taken of
     * @param kernels microseconds a run by kernel, from the run in the middle; empty without events
     */
    record Taken(double median, double least, double wall, int runs, Map<String, Double> kernels) {}

    private record Run(double micros, List<KernelTime> kernels) {}

    Clock(Setting setting) {
        this.setting = setting;
        this.mark = Tensor.zeros(setting.backend(), DType.F32, 1);
    }

    /** Measures for about {@code most} seconds, never fewer than {@link #LEAST} runs; where sizes are tiny, once: an emulator takes its time. */
    Taken take(Work.Mode mode, IntConsumer run, int sets, double most) {
        boolean once = setting.size() != Setting.Size.FULL;
        int least = once ? 1 : LEAST;
        double seconds = once ? 0 : most;
        for (int i = 0; i < Math.min(WARM_UP, least); i++) {
            scoped(run, i % sets);
        }
        finish();
        return switch (mode) {
            case DEVICE -> device(run, sets, seconds, least);
            case WALL -> single(run, sets, seconds, least);
            case ENQUEUE -> enqueue(run, sets, least);
        };
    }

    private Taken device(IntConsumer run, int sets, double seconds, int least) {
        double wall = wall(run, sets, least);
        if (events(() -> scoped(run, 0)).kernels.isEmpty()) {
            return new Taken(wall, wall, wall, least, Map.of());
        }
        Run[] all = new Run[MOST];
        int n = 0;
        for (long end = System.nanoTime() + (long) (seconds * 1e9); n < least || n < MOST && System.nanoTime() < end; n++) {
            int set = n % sets;
            all[n] = events(() -> scoped(run, set));
        }
        Arrays.sort(all, 0, n, (a, b) -> Double.compare(a.micros, b.micros));
        Map<String, Double> kernels = new LinkedHashMap<>();
        all[n / 2].kernels.forEach(k -> kernels.merge(k.kernel() + " x" + k.calls(), k.totalMicros(), Double::sum));
        return new Taken(all[n / 2].micros, all[0].micros, wall, n, kernels);
    }

    private Run events(Runnable body) {
        Backend b = setting.backend();
        if (!b.startProfile()) {
            return new Run(0, List.of());
        }
        body.run();
        List<KernelTime> times = b.stopProfile();
        return new Run(times.stream().mapToDouble(KernelTime::totalMicros).sum(), times);
    }

    private double wall(IntConsumer run, int sets, int runs) {
        long start = System.nanoTime();
        for (int i = 0; i < runs; i++) {
            scoped(run, i % sets);
        }
        finish();
        return (System.nanoTime() - start) / 1e3 / runs;
    }

    private Taken single(IntConsumer run, int sets, double seconds, int least) {
        double[] micros = new double[MOST];
        int n = 0;
        // A training step is long: its runs are spread over seconds of steps, so fewer of them say as much.
        int enough = Math.min(least, 5);
        for (long end = System.nanoTime() + (long) (seconds * 1e9); n < enough || n < MOST && System.nanoTime() < end; n++) {
            long start = System.nanoTime();
            scoped(run, n % sets);
            finish();
            micros[n] = (System.nanoTime() - start) / 1e3;
        }
        return taken(micros, n);
    }

    private Taken enqueue(IntConsumer run, int sets, int least) {
        double[] micros = new double[3 * least];
        int calls = setting.size() != Setting.Size.FULL ? 10 : LAUNCHES;
        for (int n = 0; n < micros.length; n++) {
            long start = System.nanoTime();
            for (int i = 0; i < calls; i++) {
                run.accept(i % sets);
            }
            micros[n] = (System.nanoTime() - start) / 1e3 / calls;
            finish();
        }
        // The first two thirds let the JVM compile.
        return taken(Arrays.copyOfRange(micros, 2 * least, 3 * least), least);
    }

    private static Taken taken(double[] micros, int n) {
        Arrays.sort(micros, 0, n);
        return new Taken(micros[n / 2], micros[0], micros[n / 2], n, Map.of());
    }

    private static void scoped(IntConsumer run, int set) {
        try (Scope _ = Scope.open()) {
            run.accept(set);
        }
    }

    private void finish() {
        setting.finish(mark);
    }
}
