package dev.jotune.kernels.x86;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Storage;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Gemm;
import dev.jotune.tensor.cpu.simd.GemmFrozen;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Panels;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.FrozenKernel.Packed;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;

/**
 * Rates of products, by hand: {@code java ... ProductRates PEAK SECONDS MxKxN...}, PEAK being one core's F32 multiply-adds
 * in GFLOP/s. All candidates of a shape take turns on the same operands; the best time of each counts.
 */
final class ProductRates {
    private static final String[] NAMES = {"F32 y", "F32 dx", "packed, Vector API y", "dx", "Gemm.run y", "dx", "BF16 y", "BF16 dx", "int8 y"};
    private static final double[] PEAKS = {1, 1, 1, 1, 1, 1, 2, 2, 3.5};

    private ProductRates() {}

    public static void main(String[] arguments) {
        double peak = Double.parseDouble(arguments[0]) * Parallel.sharedThreads();
        double seconds = Double.parseDouble(arguments[1]);
        // Until the compilers are done with the Vector API's kernels.
        measure(256, 256, 256, 4 * seconds);
        System.out.println("Threads: " + Parallel.sharedThreads() + "; GFLOP/s (ratio to peak; of BF16 to 2, of int8 to 3.5 times that)\n");
        System.out.println("| M K->N | " + String.join(" | ", NAMES) + " |\n|" + "---|".repeat(NAMES.length + 1));
        for (String shape : Arrays.copyOfRange(arguments, 2, arguments.length)) {
            int[] s = Arrays.stream(shape.split("x")).mapToInt(Integer::parseInt).toArray();
            double[] best = measure(s[0], s[1], s[2], seconds);
            StringBuilder row = new StringBuilder("| " + s[0] + " " + s[1] + "->" + s[2]);
            for (int i = 0; i < best.length; i++) {
                double rate = 2.0 * s[0] * s[1] * s[2] / best[i];
                row.append(String.format(Locale.ROOT, " | %.0f (%.2f)", rate, rate / peak / PEAKS[i]));
            }
            System.out.println(row + " |");
        }
    }

    /** Nanoseconds of each candidate. */
    private static double[] measure(int m, int k, int n, double seconds) {
        FrozenKernel kernel = X86Extension.gemms(Parallel::shared, Optional.empty()).frozen();
        QuantizedProductKernel bytes = X86Extension.gemms(Parallel::shared, Optional.empty()).int8();
        Random random = new Random(1);
        Tensor w = Tensor.of(Backends.cpu(), Exact.random(random, n * k), n, k);
        Tensor x = Tensor.of(Backends.cpu(), Exact.random(random, m * k), m, k);
        Tensor dy = Tensor.of(Backends.cpu(), Exact.random(random, m * n), m, n);
        Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, m, n);
        Tensor dx = Tensor.zeros(Backends.cpu(), DType.F32, m, k);
        Packed wide = kernel.pack(w);
        Packed narrow = kernel.pack(w.to(DType.BF16));
        BlockMatrix blocks = BlockMatrix.quantize(BlockFormat.Q8_0, w);
        Storage storage = HostMemory.allocate(Panels.bytes(DType.F32, n, k));
        Panels panels = new Panels(storage.address(), DType.F32, n, k);
        Matrix weight = Matrix.f32(w.address(), k);
        panels.fill(weight);
        Runnable[] candidates = {
            () -> kernel.product(wide, x, y, Precision.F32, Joined.NONE),
            () -> kernel.productBack(wide, dy, dx, Precision.F32, Joined.NONE),
            () -> GemmFrozen.product(m, panels, x.address(), y.address(), GemmFrozen.Begin.ZERO),
            () -> GemmFrozen.productBack(m, panels, dy.address(), dx.address(), GemmFrozen.Begin.ZERO),
            () -> Gemm.run(m, n, k, Matrix.f32(x.address(), k), weight.transpose(), y.address(), n, false),
            () -> Gemm.run(m, k, n, Matrix.f32(dy.address(), n), weight, dx.address(), k, false),
            () -> kernel.product(narrow, x, y, Precision.BF16, Joined.NONE),
            () -> kernel.productBack(narrow, dy, dx, Precision.BF16, Joined.NONE),
            () -> bytes.product(x, blocks, y)};
        double[] best = new double[candidates.length];
        Arrays.fill(best, Double.MAX_VALUE);
        long end = System.nanoTime() + (long) (1e9 * seconds);
        for (int round = 0; round < 3 || System.nanoTime() < end; round++) {
            for (int i = 0; i < candidates.length; i++) {
                long start = System.nanoTime();
                candidates[i].run();
                best[i] = Math.min(best[i], System.nanoTime() - start);
            }
        }
        Reference.reachabilityFence(new Object[] {w, x, dy, y, dx, storage});
        return best;
    }
}
