package dev.jotune.tensor.cpu;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.QuantizedMatrix;
import java.util.List;

/** Each product goes to the first kernel that supports it. */
record QuantizedChoice(List<QuantizedProductKernel> kernels) implements QuantizedProductKernel {
    @Override
    public boolean supports(QuantizedMatrix weight, long rows) {
        return kernels.stream().anyMatch(k -> k.supports(weight, rows));
    }

    @Override
    public void product(Tensor x, QuantizedMatrix weight, Tensor y) {
        kernels.stream().filter(k -> k.supports(weight, x.size(0))).findFirst().orElseThrow(() -> new IllegalArgumentException(
                "No kernel multiplies " + x.size(0) + " rows with " + weight + ". Ask supports first.")).product(x, weight, y);
    }
}
