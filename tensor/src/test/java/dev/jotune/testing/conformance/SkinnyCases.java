package dev.jotune.testing.conformance;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.quant.QuantizedMatrix;
import dev.jotune.tensor.quant.SignMatrix;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** Few rows against quantised weights, where the backend has a kernel for that: the product of the widened weight. */
final class SkinnyCases {
    private static final double TOLERANCE = 2e-6;

    private SkinnyCases() {}

    static void add(List<Case> all) {
        for (BlockFormat format : BlockFormat.values()) {
            all.add(new Case("quantised product/" + format, b -> {
                for (int rows = 1; rows <= 67; rows += rows < 20 ? 1 : 9) {
                    compare(b, QuantCases.random(b, format, rows, (1 + rows % 3) * (long) format.elements()), 1 + rows % 10);
                }
                int[] order = IntStream.range(0, 37).map(i -> i * 5 % 37).toArray();
                compare(b, QuantCases.random(b, format, 37, format.elements()).reordered(order), 5);
                // Enough for several threads.
                compare(b, QuantCases.random(b, format, 1031, 3L * format.elements()), 9);
            }));
        }
        all.add(new Case("quantised product/NF4", b -> {
            for (int columns = 1; columns <= 67; columns++) {
                compare(b, nf4(b, 1 + columns % 23, columns), 1 + columns % 10);
            }
            for (int rows = 1; rows <= 67; rows++) {
                compare(b, nf4(b, rows, 64L * (1 + rows % 3)), 1 + rows % 10);
            }
            compare(b, nf4(b, 2053, 256), 1);
        }));
        all.add(new Case("quantised product/signs", b -> {
            for (int columns = 1; columns <= 131; columns++) {
                compare(b, signs(b, 1 + columns % 23, columns), 1 + columns % 10);
            }
            for (int rows = 1; rows <= 67; rows++) {
                compare(b, signs(b, rows, 61 + rows % 5), 1 + rows % 10);
            }
            // Enough for several threads.
            compare(b, signs(b, 2053, 519), 1);
            compare(b, signs(b, 1031, 264), 9);
        }));
    }

    private static QuantizedMatrix nf4(Backend b, long rows, long columns) {
        return Nf4Matrix.quantize(Twin.normal(b, DType.F32, Twin.Layout.DENSE, 9, rows, columns).tested());
    }

    private static QuantizedMatrix signs(Backend b, int rows, int columns) {
        double[] noise = Twin.normal(b, DType.F32, Twin.Layout.DENSE, 9, rows, columns).tested().toDoubleArray();
        return SignMatrix.of(b, rows, columns, noise);
    }

    /** All rows, x and y being parts of wider tensors; what lies around y stays. */
    private static void compare(Backend b, QuantizedMatrix w, int m) {
        Optional<QuantizedProductKernel> kernel = b.kernel(QuantizedProductKernel.class);
        if (kernel.isEmpty() || !kernel.get().supports(w, m)) {
            return;
        }
        Backend reference = Backends.reference();
        // Dense where the number of rows is odd: then kernels may read several numbers at a time.
        Twin x = Twin.normal(b, DType.F32, m % 2 == 0 ? Twin.Layout.PITCHED : Twin.Layout.DENSE, 3, m, w.columns());
        Tensor wide = Tensor.empty(reference, DType.F64, w.rows(), w.columns());
        w.dequantize(0, wide);
        Tensor want = Tensor.empty(reference, DType.F64, m, w.rows());
        reference.matmul(x.reference(), wide.transpose(0, 1), want, false);
        Twin y = new Twin(Twin.uniform(b, DType.F32, Twin.Layout.PITCHED, 4, 0, 1, m, w.rows()).tested(), want);
        double[] before = y.memory();
        kernel.get().product(x.tested(), w, y.tested());
        y.compare(w + " with " + m + " rows", TOLERANCE);
        y.checkSurroundings(w + " with " + m + " rows", before);
    }
}
