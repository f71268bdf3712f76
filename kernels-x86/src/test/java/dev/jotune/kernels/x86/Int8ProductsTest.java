package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.kernels.x86.gemm.DirtyWorkspace;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Products of rounded rows with weights in Q8_0 against the definition in double, within the bound of the rounding. */
class Int8ProductsTest {
    private static QuantizedProductKernel kernel(Parallel pool) {
        return Machine.gemms(() -> pool).int8();
    }

    static BlockMatrix weight(Random random, int n, int k) {
        return BlockMatrix.quantize(BlockFormat.Q8_0, Tensor.of(Backends.cpu(), Exact.random(random, n * k), n, k));
    }

    /** Checks every element, and returns the error's root mean square over that of y. */
    static double check(QuantizedProductKernel kernel, int m, int n, int k, int gap) {
        Random random = new Random(m + 31L * n);
        BlockMatrix w = weight(random, n, k);
        float[] values = Exact.random(random, m * k);
        Canaried x = Canaried.of(values, m, k, gap);
        Canaried y = Canaried.of(new float[m * n], m, n, gap);
        DirtyWorkspace.make();
        kernel.product(x.tensor, w, y.tensor);
        x.untouched();
        float[] got = y.written();
        float[] row = new float[k];
        double errors = 0;
        double squares = 0;
        for (int j = 0; j < n; j++) {
            w.row(j, row);
            for (int i = 0; i < m; i++) {
                double sum = 0;
                double bound = 1e-5;
                for (int b = 0; b < k; b += 32) {
                    double largest = 0;
                    double weights = 0;
                    for (int p = b; p < b + 32; p++) {
                        sum += (double) row[p] * values[i * k + p];
                        weights += Math.abs(row[p]);
                        largest = Math.max(largest, Math.abs(values[i * k + p]));
                    }
                    bound += largest / 253.9 * weights;
                }
                double error = Math.abs(got[i * n + j] - sum);
                assertThat(error).as("%d x %d x %d at (%d, %d)", m, n, k, i, j).isLessThanOrEqualTo(bound);
                errors += error * error;
                squares += sum * sum;
            }
        }
        return Math.sqrt(errors / squares);
    }

    @Test
    void everyTailOfRowsAndOutputs() {
        QuantizedProductKernel kernel = kernel(Parallel.shared());
        for (int s = 1; s <= 67; s++) {
            check(kernel, s, 37, 64, s % 3);
            check(kernel, 13, s, 96, s % 3);
        }
        check(kernel, 131, 130, 32, 0);
    }

    @Test
    void theErrorIsThatOfRoundingTheRows() {
        assertThat(check(kernel(Parallel.shared()), 64, 96, 576, 0)).isBetween(0.002, 0.008);
    }

    @Test
    void resultsDoNotDependOnThreads() {
        Random random = new Random(3);
        BlockMatrix w = weight(random, 200, 128);
        Tensor x = Tensor.of(Backends.cpu(), Exact.random(random, 150 * 128), 150, 128);
        float[] first = null;
        for (int threads : new int[] {1, 2, 3}) {
            Parallel pool = new Parallel(threads);
            try {
                Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, 150, 200);
                kernel(pool).product(x, w, y);
                first = first == null ? y.toFloatArray() : first;
                assertThat(y.toFloatArray()).isEqualTo(first);
            } finally {
                pool.close();
            }
        }
    }

    @Test
    void zerosStayZeroAndNotANumberStaysInItsRow() {
        QuantizedProductKernel kernel = kernel(Parallel.shared());
        float[] values = new float[20 * 64];
        values[7 * 64 + 40] = Float.NaN;
        Tensor y = Tensor.full(Backends.cpu(), DType.F32, 5, 20, 33);
        kernel.product(Tensor.of(Backends.cpu(), values, 20, 64), weight(new Random(1), 33, 64), y);
        float[] got = y.toFloatArray();
        for (int i = 0; i < got.length; i++) {
            assertThat(Float.isNaN(got[i])).isEqualTo(i / 33 == 7);
        }
        Arrays.fill(values, 0);
        kernel.product(Tensor.of(Backends.cpu(), values, 20, 64), weight(new Random(1), 33, 64), y);
        assertThat(y.toFloatArray()).containsOnly(0f);
    }

    @Test
    void otherFormatsAndFewRowsAreLeftToOtherKernels() {
        QuantizedProductKernel kernel = kernel(Parallel.shared());
        Tensor dense = Tensor.zeros(Backends.cpu(), DType.F32, 32, 64);
        BlockMatrix four = BlockMatrix.quantize(BlockFormat.Q4_0, dense);
        BlockMatrix eight = BlockMatrix.quantize(BlockFormat.Q8_0, dense);
        assertThat(kernel.supports(eight, 16)).isTrue();
        assertThat(kernel.supports(eight, 15)).isFalse();
        assertThat(kernel.supports(four, 64)).isFalse();
        Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, 32, 32);
        assertThatThrownBy(() -> kernel.product(dense, four, y)).hasMessageContaining("Ask supports first");
        assertThatThrownBy(() -> kernel.product(dense, eight, dense)).hasMessageContaining("[M, 32]");
    }
}
