package dev.jotune.tensor.quant;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.DequantizeKernel;
import java.util.Optional;

/** Widening, by the backend's kernel where it has one, else by the definition. */
public final class Dequantize {
    private Dequantize() {}

    /** Fills the dense {@code out [n, columns]}, F32 or F64, with rows {@code from .. from + n}. */
    public static void rows(QuantizedMatrix matrix, long from, Tensor out) {
        matrix.check(from, out);
        Optional<DequantizeKernel> kernel = out.backend().kernel(DequantizeKernel.class);
        if (kernel.isPresent()) {
            kernel.get().dequantize(matrix, from, out);
        } else {
            matrix.dequantize(from, out);
        }
    }

    /** The whole matrix, dense {@code [rows, columns]}. */
    public static Tensor all(QuantizedMatrix matrix, Backend backend, DType type) {
        Tensor out = Tensor.empty(backend, type, matrix.rows(), matrix.columns());
        rows(matrix, 0, out);
        return out;
    }
}
