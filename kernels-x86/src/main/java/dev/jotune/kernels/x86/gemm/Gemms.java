package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import java.util.function.Supplier;

/** Matrix products in machine code, as the extension offers them. */
public final class Gemms {
    private final FrozenProducts frozen;
    private final DenseProducts dense;

    /** For a processor with AVX-512 F, DQ, BW, VL and BF16; the pool is asked for with the first product. */
    public Gemms(CodeInstaller installer, Supplier<Parallel> pool) {
        VectorPanels panels = new VectorPanels(installer);
        frozen = new FrozenProducts(pool, panels, panels);
        dense = new DenseProducts(pool, panels);
    }

    /** Products with frozen weights. */
    public FrozenKernel frozen() {
        return frozen;
    }

    /** As {@code CpuExtension.matmul}. */
    public boolean matmul(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        return dense.run(m, n, k, a, b, c, crs, add);
    }
}
