package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Sparse;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.SparsePattern;
import java.lang.ref.Reference;

/** Hands tensors to the Vector API's sparse products. */
final class VectorSparse implements SparseKernel {
    @Override
    public void product(SparsePattern pattern, Tensor values, Tensor x, Tensor y) {
        Sparse.product(pattern, values.address(), x.address(), Math.toIntExact(x.size(1)), y.address());
        Reference.reachabilityFence(new Object[] {values, x, y});
    }

    @Override
    public void products(SparsePattern pattern, Tensor dy, Tensor x, Tensor out) {
        Sparse.products(pattern, dy.address(), x.address(), Math.toIntExact(x.size(1)), out.address());
        Reference.reachabilityFence(new Object[] {dy, x, out});
    }
}
