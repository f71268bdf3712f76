package dev.jotune.kernels.x86.gemm;

import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.cpu.simd.RowCode;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import java.util.Optional;
import java.util.function.Supplier;

/** Matrix products in machine code, as the extension offers them. */
public final class Gemms {
    private final FrozenProducts frozen;
    private final DenseProducts dense;
    private final Supplier<QuantizedProductKernel> bytes;
    private final RowKernels rows;

    /**
     * For a processor with AVX-512 F, DQ, BW, VL and BF16; the pool is asked for with the first product.
     *
     * @param tiles how F32 products use AMX tiles, where there are some (of BF16 and of bytes)
     */
    public Gemms(CodeInstaller installer, Supplier<Parallel> pool, Optional<F32Products> tiles) {
        VectorPanels panels = new VectorPanels(installer);
        dense = new DenseProducts(pool, panels);
        frozen = new FrozenProducts(pool, panels, new KernelChoice(panels, new AmxPanels(panels, installer), tiles), dense);
        rows = new RowKernels(installer);
        bytes = () -> new Int8Products(pool, installer, panels, tiles.isPresent());
    }

    /** Products with frozen weights. */
    public FrozenKernel frozen() {
        return frozen;
    }

    /** Products of rounded rows with weights in Q8_0, for a processor with AVX-512 VNNI or AMX; less accurate than their definition. */
    public QuantizedProductKernel int8() {
        return bytes.get();
    }

    /** Products of single rows with weights in this format, for a processor with AVX-512 VNNI. */
    public Optional<RowCode> rows(BlockFormat format) {
        return rows.of(format);
    }

    /** As {@code CpuExtension.matmul}. */
    public boolean matmul(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        return dense.run(m, n, k, a, b, c, crs, add ? Epilogue.addTo(c, 4 * crs) : Epilogue.NONE);
    }
}
