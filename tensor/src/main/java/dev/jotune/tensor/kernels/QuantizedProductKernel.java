package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.QuantizedMatrix;

/**
 * The product of a few rows with a quantised weight, widened on its way into the multiply-adds. Definition: widen every
 * row ({@link QuantizedMatrix#row}), then multiply in F32.
 */
public interface QuantizedProductKernel extends FusedKernel {
    /** Whether so many rows of x gain by it; for more, rows that are widened once serve all of them. */
    boolean supports(QuantizedMatrix weight, long rows);

    /** {@code y [M, out] = x [M, in] W^T}; F32, rows of x and y contiguous. */
    void product(Tensor x, QuantizedMatrix weight, Tensor y);
}
