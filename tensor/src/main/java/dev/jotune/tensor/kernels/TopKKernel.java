package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;

/** The largest elements of rows. */
public interface TopKKernel extends FusedKernel {
    /**
     * Fills {@code values} with the k largest elements of each row, largest first, of equals the first first, and {@code places}
     * with where they stand. A NaN is never chosen. Where a row has fewer elements above -infinity, the rest are -infinity at place 0.
     *
     * @param x {@code [.., n]}, F32, dense
     * @param values {@code [.., k]}, F32, dense, k at most n
     * @param places {@code [.., k]}, I64, dense
     */
    void topK(Tensor x, Tensor values, Tensor places);
}
