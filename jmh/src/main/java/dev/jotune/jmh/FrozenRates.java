package dev.jotune.jmh;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.FrozenKernel.Packed;
import dev.jotune.tensor.kernels.Precision;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/**
 * Products with many BF16 weights in turn, so that each comes from memory as in a step through a model; a product that is repeated finds its
 * weight in a cache. {@code FrozenRates OUTxIN WEIGHTS ROWS,ROWS,...} prints one JSON line a number of rows: GFLOP/s of {@code y = x W^T} and of
 * {@code dx = dy W}, the best round over all weights, first of one weight repeated, then of all.
 */
public final class FrozenRates {
    private static final int PRODUCTS = 2000;

    private FrozenRates() {}

    public static void main(String[] args) {
        String[] sides = args[0].split("x");
        int out = Integer.parseInt(sides[0]);
        int in = Integer.parseInt(sides[1]);
        int[] rows = Arrays.stream(args[2].split(",")).mapToInt(Integer::parseInt).toArray();
        Backend cpu = Backends.cpu();
        FrozenKernel kernel = cpu.kernel(FrozenKernel.class).orElseThrow();
        Packed[] weights = IntStream.range(0, Integer.parseInt(args[1])).mapToObj(i -> {
            Tensor w = Tensor.empty(cpu, DType.F32, out, in);
            cpu.normal(w, 1, i);
            Packed packed = kernel.pack(w.to(DType.BF16));
            w.storage().free();
            return packed;
        }).toArray(Packed[]::new);
        for (Packed[] some : new Packed[][] {Arrays.copyOf(weights, 1), weights}) {
            for (int m : rows) {
                Tensor x = Tensor.empty(cpu, DType.F32, m, in);
                Tensor y = Tensor.empty(cpu, DType.F32, m, out);
                cpu.normal(x, 1, -1);
                double work = 2e-9 * m * in * out;
                double forward = work / seconds(some, w -> kernel.product(w, x, y, Precision.BF16, Joined.NONE));
                double back = work / seconds(some, w -> kernel.productBack(w, y, x, Precision.BF16, Joined.NONE));
                System.out.println(String.format(Locale.ROOT, "{\"weight\": \"%s\", \"weights\": %d, \"rows\": %d, \"y_gflops\": %.0f, "
                        + "\"dx_gflops\": %.0f}", args[0], some.length, m, forward, back));
            }
        }
    }

    /** Of one product in the best round, after as many rounds for the compiler. */
    private static double seconds(Packed[] weights, Consumer<Packed> product) {
        int rounds = Math.max(5, PRODUCTS / weights.length);
        double best = Double.MAX_VALUE;
        for (int i = 0; i < 2 * rounds; i++) {
            long start = System.nanoTime();
            for (Packed w : weights) {
                product.accept(w);
            }
            double each = (System.nanoTime() - start) / 1e9 / weights.length;
            best = i < rounds ? best : Math.min(best, each);
        }
        return best;
    }
}
