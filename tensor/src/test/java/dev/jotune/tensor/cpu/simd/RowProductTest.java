package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Products with dense weights as they are stored, row by row. */
class RowProductTest {
    private static final Backend CPU = Backends.cpu();

    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"F32", "BF16", "F16"})
    void isTheProductOfTheWidenedWeightAtEveryTail(DType type) {
        for (int k = 1; k <= 67; k++) {
            check(type, 1 + k % 6, 1 + k % 35, k);
        }
        for (int n = 1; n <= 67; n++) {
            check(type, 1 + n % 10, n, 96);
        }
    }

    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"F32", "BF16", "F16"})
    void isTheSameToTheLastBitAsATile(DType type) {
        try (Scope scope = Scope.open()) {
            int k = 576 + 5;
            Tensor w = weight(type, 40, k);
            Tensor x = Tensor.empty(CPU, DType.F32, 1, k);
            CPU.normal(x, 2, 0);
            Tensor tile = Tensor.empty(CPU, DType.F32, 1, 40);
            CPU.matmul(x, w.transpose(0, 1), tile, false);
            assertThat(product(x, w).toFloatArray()).containsExactly(tile.toFloatArray());
        }
    }

    private static Tensor weight(DType type, int n, int k) {
        Tensor w = Tensor.empty(CPU, DType.F32, n, k);
        CPU.normal(w, 1, 0);
        return w.to(type);
    }

    private static Tensor product(Tensor x, Tensor w) {
        Tensor y = Tensor.empty(CPU, DType.F32, x.size(0), w.size(0));
        SkinnyProduct.run(RowProduct.of(w).orElseThrow(), (int) x.size(0), x.address(), 4 * x.stride(0), y.address(), 4 * y.stride(0));
        return y;
    }

    private static void check(DType type, int m, int n, int k) {
        try (Scope scope = Scope.open()) {
            Tensor w = weight(type, n, k);
            Tensor x = Tensor.empty(CPU, DType.F32, m, k);
            CPU.normal(x, 2, 0);
            float[] got = product(x, w).toFloatArray();
            double[] a = x.toDoubleArray();
            double[] b = w.toDoubleArray();
            double worst = 0;
            for (int i = 0; i < m; i++) {
                for (int r = 0; r < n; r++) {
                    double sum = 0;
                    for (int p = 0; p < k; p++) {
                        sum += a[i * k + p] * b[r * k + p];
                    }
                    worst = Math.max(worst, Math.abs(got[i * n + r] - sum));
                }
            }
            assertThat(worst).as("%s [%d, %d] x [%d, %d]^T", type, m, k, n, k).isLessThan(2e-5);
        }
    }
}
