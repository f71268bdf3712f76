package dev.jotune.tensor.cpu;

import dev.jotune.tensor.cpu.simd.Matrix;
import dev.jotune.tensor.cpu.simd.RowCode;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.quant.BlockFormat;
import java.util.Optional;

/**
 * Kernels for one kind of processor that the CPU backend asks before its own; found with
 * {@link java.util.ServiceLoader}.
 */
public interface CpuExtension {
    /** For people: what it is, such as {@code AVX-512 and AMX machine code}. */
    String description();

    /** Why it offers nothing, or less than it could, on this machine; empty if all is well. */
    String note();

    /** Whether it works on this machine at all. */
    boolean isAvailable();

    /** The kernel of this kind, if it has one that is faster here than the Vector API's. */
    <K extends FusedKernel> Optional<K> kernel(Class<K> kind);

    /** What multiplies single rows with weights in this format, if it has something that is faster here than the Vector API's. */
    default Optional<RowCode> rows(BlockFormat format) {
        return Optional.empty();
    }

    /**
     * {@code C = A B}, or {@code C += A B} if {@code add}; arguments as those of {@code Gemm.run}.
     *
     * @return false if it leaves this shape or these types to the caller, nothing being written
     */
    boolean matmul(int m, int n, int k, Matrix a, Matrix b, long c, long crs, boolean add);
}
