package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Dequantize;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Rows of quantised matrices, widened. */
public final class QuantCases {
    private QuantCases() {}

    static void add(List<Case> all) {
        for (BlockFormat format : BlockFormat.values()) {
            all.add(new Case("dequantize/" + format, b -> {
                for (long columns : new long[] {format.elements(), 3L * format.elements()}) {
                    compare(b, random(b, format, 37, columns));
                    compare(b, random(b, format, 37, columns).reordered(IntStream.range(0, 37).map(i -> i * 5 % 37).toArray()));
                }
            }));
        }
        // 4160 columns are enough for several threads.
        for (long columns : new long[] {1, 63, 64, 65, 128, 4160}) {
            all.add(new Case("dequantize/NF4 " + columns, b ->
                    compare(b, Nf4Matrix.quantize(Twin.normal(b, DType.F32, Twin.Layout.DENSE, 9, 41, columns).tested()))));
        }
    }

    /** A matrix of random bytes with finite scales. */
    public static BlockMatrix random(Backend backend, BlockFormat format, long rows, long columns) {
        long bytes = rows * format.rowBytes(columns);
        Tensor stored = Tensor.empty(backend, DType.U8, bytes);
        long[] values = new long[Math.toIntExact(bytes)];
        for (int i = 0; i < values.length; i++) {
            // Any byte may be the upper half of a scale; without its second bit the scale is finite and below 2.
            values[i] = (long) (256 * Philox.uniformDouble(5, format.ordinal(), i)) & 0xbf;
        }
        stored.copyFrom(Tensor.of(backend, values, values.length));
        return BlockMatrix.of(format, rows, columns, stored);
    }

    /** Rows from the second on, into the middle of a tensor, in both types: the definition's bits and nothing around them. */
    private static void compare(Backend b, QuantizedMatrix m) {
        for (DType type : List.of(DType.F32, DType.F64)) {
            Tensor out = Tensor.full(b, type, 7, m.rows() + 1, m.columns());
            Dequantize.rows(m, 1, out.slice(0, 1, m.rows()));
            Tensor want = Tensor.full(Backends.reference(), type, 7, m.rows() + 1, m.columns());
            m.dequantize(1, want.slice(0, 1, m.rows()));
            if (!Arrays.equals(out.toDoubleArray(), want.toDoubleArray())) {
                throw new AssertionError(m + " in " + type + " is not what its definition says.");
            }
        }
    }
}
