package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.RowProduct;
import dev.jotune.tensor.cpu.simd.SkinnyProduct;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.lang.ref.Reference;

/** Hands few rows and a quantised weight to row products: single ones to an extension's, where it has them. */
final class VectorQuantizedProduct implements QuantizedProductKernel {
    private final Extensions extensions;

    VectorQuantizedProduct(Extensions extensions) {
        this.extensions = extensions;
    }

    @Override
    public boolean supports(QuantizedMatrix weight, long rows) {
        return rows <= SkinnyProduct.MOST_ROWS;
    }

    @Override
    public void product(Tensor x, QuantizedMatrix weight, Tensor y) {
        if (x.size(0) > 0 && weight.rows() > 0) {
            RowProduct product = x.size(0) < RowProduct.TALL ? extensions.rows(weight) : RowProduct.of(weight);
            SkinnyProduct.run(product, (int) x.size(0), x.address(), Float.BYTES * x.stride(0), y.address(),
                    Float.BYTES * y.stride(0));
        }
        Reference.reachabilityFence(new Object[] {x, weight, y});
    }
}
