package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;

/**
 * Products with a sparse matrix S {@code [out, in]} that never exists densely. Features come first, {@code x [in, M]}: then
 * one number of S meets M neighbouring numbers of x. All tensors are dense F32.
 */
public interface SparseKernel extends FusedKernel {
    /**
     * {@code y [out, M] = S x [in, M]}; with the pattern of the transposed matrix, {@code S^T}.
     *
     * @param values the numbers of S, {@code [K]}
     */
    void product(SparsePattern pattern, Tensor values, Tensor x, Tensor y);

    /** The gradient of the numbers: {@code out[k] = dy[row k, :] . x[column k, :]} for {@code dy [out, M]}, {@code out [K]}. */
    void products(SparsePattern pattern, Tensor dy, Tensor x, Tensor out);
}
