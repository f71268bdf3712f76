package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Ranges;
import dev.jotune.kernels.x86.gemm.EmulatedCode;
import dev.jotune.kernels.x86.gemm.F32Products;
import dev.jotune.kernels.x86.gemm.Gemms;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.simd.Parallel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.Precision;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * How exact products of F32 in BF16 pieces are: the largest error of an element, relative to the sum of its terms'
 * magnitudes, over sums of 576 terms. A sum in F32, term after term, is measured beside them.
 */
class SplitAccuracyTest {
    private static final int M = 24;
    private static final int N = 32;
    private static final int K = 576;

    private static double error(F32Products how, Precision precision, DType type, float[] x, float[] w) {
        Parallel alone = new Parallel(1);
        try {
            FrozenKernel kernel = new Gemms(new EmulatedCode(new Ranges()), () -> alone, Optional.of(how)).frozen();
            Tensor weight = Tensor.of(Backends.cpu(), w, N, K).to(type);
            Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, M, N);
            kernel.product(kernel.pack(weight), Tensor.of(Backends.cpu(), x, M, K), y, precision, Joined.NONE);
            return error(x, weight.to(DType.F32).toFloatArray(), y.toFloatArray());
        } finally {
            alone.close();
        }
    }

    private static double error(float[] x, float[] w, float[] y) {
        double worst = 0;
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                double sum = 0;
                double size = 0;
                for (int p = 0; p < K; p++) {
                    double term = (double) x[i * K + p] * w[j * K + p];
                    sum += term;
                    size += Math.abs(term);
                }
                worst = Math.max(worst, Math.abs(y[i * N + j] - sum) / size);
            }
        }
        return worst;
    }

    private static float[] normal(Random random, int n) {
        float[] out = new float[n];
        for (int i = 0; i < n; i++) {
            out[i] = (float) random.nextGaussian();
        }
        return out;
    }

    @Test
    void sixProductsAreAsExactAsF32AndThreeLoseEightBits() {
        Random random = new Random(1);
        float[] x = normal(random, M * K);
        float[] w = normal(random, N * K);
        float[] plain = new float[M * N];
        for (int i = 0; i < M; i++) {
            for (int j = 0; j < N; j++) {
                for (int p = 0; p < K; p++) {
                    plain[i * N + j] = Math.fma(x[i * K + p], w[j * K + p], plain[i * N + j]);
                }
            }
        }
        double f32 = error(x, w, plain);
        double six = error(F32Products.SIX, Precision.F32, DType.F32, x, w);
        double three = error(F32Products.THREE, Precision.F32, DType.F32, x, w);
        double paired = error(F32Products.SIX, Precision.F32, DType.BF16, x, w);
        double bf16 = error(F32Products.SIX, Precision.BF16, DType.F32, x, w);
        String all = "F32 %.2g, six %.2g, three %.2g, BF16 weight %.2g, BF16 %.2g".formatted(f32, six, three, paired, bf16);
        assertThat(six).as(all).isLessThan(Math.max(f32, 0x1p-23));
        assertThat(paired).as(all).isLessThan(Math.max(f32, 0x1p-23));
        assertThat(three).as(all).isLessThan(0x1p-18);
        // The ways differ: were all of them run on vectors, they would not.
        assertThat(three).as(all).isGreaterThan(4 * six);
        assertThat(bf16).as(all).isGreaterThan(16 * three);
    }
}
