package dev.jotune.jmh.cpu;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.FrozenKernel.Packed;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.Precision;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * What a norm in the prologue of the products that read it could save at most: the processor time of the norm's own pass, its
 * result's memory included, beside that of the frozen products behind it. {@code NormShare [ROUNDS]}, with
 * {@code -Djotune.threads=1}; prints one JSON line for each place of a model, number of rows and precision.
 *
 * <p>The share is a bound, for a prologue is not free: each product would normalise its rows again. Processor time of one thread, so
 * that other programs hardly count; norm and products take turns, and each round gives one ratio.
 */
public final class NormShare {
    /** Processor time of a turn. */
    private static final long TURN = 2_000_000;
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    /** A norm and the outputs of the products that read it; none has a bias. */
    private record Place(String name, boolean layer, long columns, List<Long> outputs) {}

    private static final List<Place> PLACES = List.of(new Place("llama q, k, v", false, 576, List.of(576L, 192L, 192L)),
            new Place("llama gate, up", false, 576, List.of(1536L, 1536L)), new Place("gpt2 c_attn", true, 768, List.of(2304L)),
            new Place("gpt2 c_fc", true, 768, List.of(3072L)));

    private static boolean warm;

    private NormShare() {}

    public static void main(String[] args) {
        int rounds = args.length > 0 ? Integer.parseInt(args[0]) : 25;
        for (Place place : PLACES) {
            for (long rows : new long[] {1, 8, 32, 512}) {
                for (Precision precision : Precision.values()) {
                    measure(place, rows, precision, rounds);
                }
            }
        }
    }

    private static void measure(Place place, long rows, Precision precision, int rounds) {
        Backend cpu = Backends.cpu();
        NormKernel norms = cpu.kernel(NormKernel.class).orElseThrow();
        FrozenKernel products = cpu.kernel(FrozenKernel.class).orElseThrow();
        try (Scope _ = Scope.open()) {
            Tensor x = noise(1, rows, place.columns);
            Tensor normed = noise(2, rows, place.columns);
            Tensor weight = noise(3, place.columns);
            Tensor bias = noise(4, place.columns);
            DType stored = precision == Precision.BF16 ? DType.BF16 : DType.F32;
            List<Packed> packed = place.outputs.stream().map(n -> products.pack(noise(5, n, place.columns).to(stored))).toList();
            List<Tensor> y = place.outputs.stream().map(n -> noise(6, rows, n)).toList();
            Runnable norm = () -> {
                try (Scope _ = Scope.open()) {
                    Tensor out = Tensor.empty(cpu, DType.F32, rows, place.columns);
                    if (place.layer) {
                        norms.layerNorm(x, weight, bias, 1e-5, out, Tensor.empty(cpu, DType.F32, rows), Tensor.empty(cpu, DType.F32, rows));
                    } else {
                        norms.rmsNorm(x, weight, 1e-5, out);
                    }
                }
            };
            Runnable behind = () -> IntStream.range(0, packed.size())
                    .forEach(i -> products.product(packed.get(i), normed, y.get(i), precision, Joined.NONE));
            // The compilers' turn, the longest before the first place.
            for (int i = 0; i < (warm ? 60 : 600); i++) {
                nanos(norm);
                nanos(behind);
            }
            warm = true;
            double[] a = new double[rounds];
            double[] b = new double[rounds];
            double[] share = new double[rounds];
            for (int i = 0; i < rounds; i++) {
                a[i] = nanos(norm);
                b[i] = nanos(behind);
                share[i] = a[i] / (a[i] + b[i]);
            }
            System.out.printf(Locale.ROOT, "{\"bench\": \"norm_share\", \"case\": \"%s\", \"rows\": %d, \"precision\": \"%s\", "
                    + "\"norm_us\": %.2f, \"products_us\": %.2f, \"share_median\": %.4f, \"share_least\": %.4f, \"engine\": \"%s\"}%n",
                    place.name, rows, precision, median(a) / 1e3, median(b) / 1e3, median(share), Arrays.stream(share).min().orElseThrow(),
                    Log.jotune());
        }
    }

    /** Nanoseconds of this thread for one run, over a turn. */
    private static double nanos(Runnable work) {
        long start = THREADS.getCurrentThreadCpuTime();
        long now = start;
        int runs = 0;
        while (now - start < TURN) {
            work.run();
            runs++;
            now = THREADS.getCurrentThreadCpuTime();
        }
        return (double) (now - start) / runs;
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static Tensor noise(long stream, long... shape) {
        Tensor t = Tensor.empty(Backends.cpu(), DType.F32, shape);
        Backends.cpu().uniform(t, 1, stream);
        return t;
    }
}
