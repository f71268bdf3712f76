package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.QuantizedMatrix;

/** Widens rows of a quantised matrix. Definition: {@link QuantizedMatrix#row}, bit for bit. */
public interface DequantizeKernel extends FusedKernel {
    /** Fills the dense {@code out [n, columns]}, F32 or F64, with rows {@code from .. from + n}. */
    void dequantize(QuantizedMatrix matrix, long from, Tensor out);
}
