package dev.jotune.testing.gate;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.tensor.quant.SignMatrix;
import dev.jotune.testing.conformance.QuantCases;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Matrix products for {@link HotDriver}: of every layout, with frozen and with quantised weights. */
final class HotProducts {
    /** M, N, K: rows of every height of a tile, columns of every width, few and many of both. */
    private static final long[][] PRODUCTS = {{1, 200, 96}, {2, 70, 64}, {3, 96, 64}, {4, 96, 64}, {5, 40, 48}, {6, 96, 64}, {8, 200, 64},
        {12, 35, 40}, {13, 17, 64}, {40, 67, 50}, {130, 130, 40}, {128, 3, 64}};
    private static final long[] ROWS = {1, 2, 3, 4, 5, 6, 8, 12, 100};

    private HotProducts() {}

    static void add(Backend cpu, List<Runnable> works) {
        for (long[] s : PRODUCTS) {
            for (DType type : HotDriver.STORED) {
                dense(cpu, works, type, s[0], s[1], s[2]);
            }
        }
        cpu.kernel(FrozenKernel.class).ifPresent(k -> {
            for (DType type : HotDriver.STORED) {
                Tensor weight = HotDriver.noise(cpu, 200, 96).to(type);
                works.add(() -> k.pack(weight));
                FrozenKernel.Packed w = k.pack(weight);
                for (long m : ROWS) {
                    frozen(cpu, works, k, w, m);
                }
                // So long a sum is taken in parts.
                frozen(cpu, works, k, k.pack(HotDriver.noise(cpu, 70, 2100).to(type)), 12);
            }
        });
        cpu.kernel(QuantizedProductKernel.class).ifPresent(k -> {
            List<QuantizedMatrix> weights = new ArrayList<>();
            for (BlockFormat format : BlockFormat.values()) {
                weights.add(QuantCases.random(cpu, format, 40, 2L * format.elements()));
            }
            weights.add(Nf4Matrix.quantize(HotDriver.noise(cpu, 40, 320)));
            weights.add(SignMatrix.of(cpu, 40, 320, HotDriver.noise(cpu, 40, 320).toDoubleArray()));
            weights.forEach(w -> quantized(cpu, works, k, w));
        });
    }

    private static void dense(Backend cpu, List<Runnable> works, DType type, long m, long n, long k) {
        Tensor c = HotDriver.noise(cpu, m, n);
        for (Tensor a : List.of(HotDriver.noise(cpu, m, k), HotDriver.noise(cpu, k, m).transpose(0, 1))) {
            Tensor half = a.to(DType.BF16);
            for (Tensor b : List.of(HotDriver.noise(cpu, k, n).to(type), HotDriver.noise(cpu, n, k).to(type).transpose(0, 1))) {
                works.add(() -> cpu.matmul(a, b, c, false));
                works.add(() -> cpu.matmul(a, b, c, true));
                works.add(() -> cpu.matmul(half, b, c, false));
            }
        }
    }

    private static void frozen(Backend cpu, List<Runnable> works, FrozenKernel kernel, FrozenKernel.Packed w, long m) {
        Tensor x = HotDriver.noise(cpu, m, w.columns());
        Tensor y = HotDriver.noise(cpu, m, w.rows());
        Joined terms = new Joined(Optional.of(HotDriver.noise(cpu, m, 8)), Optional.of(HotDriver.noise(cpu, w.rows(), 8)),
                Optional.of(HotDriver.noise(cpu, w.rows())), Optional.of(HotDriver.noise(cpu, m, w.rows())));
        for (Precision precision : Precision.values()) {
            works.add(() -> kernel.product(w, x, y, precision, Joined.NONE));
            works.add(() -> kernel.product(w, x, y, precision, terms));
            works.add(() -> kernel.productBack(w, y, x, precision, Joined.NONE));
        }
    }

    private static void quantized(Backend cpu, List<Runnable> works, QuantizedProductKernel kernel, QuantizedMatrix w) {
        for (long m : ROWS) {
            if (kernel.supports(w, m)) {
                Tensor x = HotDriver.noise(cpu, m, w.columns());
                Tensor y = HotDriver.noise(cpu, m, w.rows());
                works.add(() -> kernel.product(x, w, y));
            }
        }
    }
}
