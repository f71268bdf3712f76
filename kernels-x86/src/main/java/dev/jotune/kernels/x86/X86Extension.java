package dev.jotune.kernels.x86;

import dev.jotune.kernels.x86.gemm.F32Products;
import dev.jotune.kernels.x86.gemm.Gemms;
import dev.jotune.tensor.cpu.CpuExtension;
import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.cpu.simd.RowCode;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.function.Supplier;

/** Offers what machine code does faster than the Vector API on an x86-64 processor with AVX-512. */
public final class X86Extension implements CpuExtension {
    private final Processor processor;
    private final Optional<Gemms> gemms;

    /** For the service loader: on the processor this runs on. */
    public X86Extension() {
        this(Processor.current());
    }

    X86Extension(Processor processor) {
        this.processor = processor;
        boolean tiles = processor.has(Feature.AMX_TILE, Feature.AMX_BF16, Feature.AMX_INT8);
        gemms = isAvailable() && processor.has(Feature.AVX512_BF16)
                ? Optional.of(gemms(Parallel::shared, tiles ? Optional.of(f32Products(System.getProperty("jotune.amx.f32", "6"))) : Optional.empty()))
                : Optional.empty();
    }

    /** Products on threads of one's own choice. */
    static Gemms gemms(Supplier<Parallel> pool, Optional<F32Products> tiles) {
        return new Gemms(code -> NativeCode.of(code, Arena.global()).handle(FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG)), pool, tiles);
    }

    /** The property {@code jotune.amx.f32}: products of BF16 pieces for one of F32. */
    static F32Products f32Products(String setting) {
        return switch (setting) {
            case "6" -> F32Products.SIX;
            case "3" -> F32Products.THREE;
            case "off" -> F32Products.NONE;
            default -> throw new IllegalArgumentException("The property jotune.amx.f32 is '" + setting
                    + "'. Set it to 6 or 3, the products of BF16 pieces for one of F32, or to off.");
        };
    }

    @Override
    public String description() {
        StringBuilder text = new StringBuilder("AVX-512 machine code");
        text.append(processor.has(Feature.AVX512_BF16) ? ", BF16" : "");
        text.append(processor.has(Feature.AVX512_VNNI) ? ", VNNI" : "");
        text.append(processor.has(Feature.AMX_TILE) ? ", AMX" : "");
        return text.toString();
    }

    @Override
    public String note() {
        return processor.note();
    }

    @Override
    public boolean isAvailable() {
        return processor.has(Feature.AVX512F, Feature.AVX512DQ, Feature.AVX512BW, Feature.AVX512VL);
    }

    @Override
    public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
        if (kind == FrozenKernel.class) {
            return gemms.map(g -> kind.cast(g.frozen()));
        }
        // Rounding rows to bytes is less accurate than the product's definition: only on request.
        boolean bytes = kind == QuantizedProductKernel.class && Boolean.getBoolean("jotune.int8") && processor.has(Feature.AVX512_VNNI);
        return bytes ? gemms.map(g -> kind.cast(g.int8())) : Optional.empty();
    }

    @Override
    public Optional<RowCode> rows(BlockFormat format) {
        return processor.has(Feature.AVX512_VNNI) ? gemms.flatMap(g -> g.rows(format)) : Optional.empty();
    }

    @Override
    public boolean matmul(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add) {
        return gemms.isPresent() && gemms.get().matmul(m, n, k, a, b, c, crs, add);
    }
}
