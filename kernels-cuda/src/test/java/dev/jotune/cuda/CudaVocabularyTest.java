package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.autograd.ops.FrozenMatrix;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.tensor.kernels.VocabularyKernel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The loss of a vocabulary on tensor cores, as a model asks for it. */
class CudaVocabularyTest {
    private static final long ROWS = 70;
    private static final long CLASSES = 600;
    private static final long HIDDEN = 72;
    private static final Offset<Double> RATHER_CLOSE = Offset.offset(1e-4);

    @TempDir
    Path cache;

    private static Tensor normal(CudaBackend device, long stream, long... shape) {
        Tensor t = Tensor.empty(device, DType.F32, shape);
        device.normal(t, 5, stream);
        return t;
    }

    private static Tensor labels() {
        long[] all = new long[(int) ROWS];
        Arrays.setAll(all, i -> i % 5 == 0 ? -100 : i * 41L % CLASSES);
        return Tensor.of(CudaDevices.shared(), all, ROWS);
    }

    private static Var loss(Var hidden, double softcap) {
        FrozenMatrix w = FrozenMatrix.of(normal(CudaDevices.shared(), 1, CLASSES, HIDDEN).to(DType.BF16)).orElseThrow();
        return LinearCrossEntropy.apply(hidden, w, labels(), Options.MEAN.withSoftcap(softcap), Precision.BF16);
    }

    @Test
    void withoutAGradientNoLogitIsStored() {
        CudaBackend device = CudaDevices.shared();
        Tensor hidden = normal(device, 2, ROWS, HIDDEN);
        Var trained = Var.parameter(hidden);
        for (double softcap : new double[] {0, 4}) {
            Var whole = loss(trained, softcap);
            assertThat(Gradients.of(whole, List.of(trained)).getFirst().toDoubleArray()).contains(0).isNotEqualTo(new double[(int) (ROWS * HIDDEN)]);
            if (!FakeCuda.isReal()) {
                FakeCuda.forget();
            }
            assertThat(loss(Var.constant(hidden), softcap).item()).isCloseTo(whole.item(), RATHER_CLOSE);
            assumeFalse(FakeCuda.isReal());
            assertThat(FakeCuda.launches()).anyMatch(l -> l.startsWith("linear_cross_entropy ")).noneMatch(l -> l.startsWith("gemm"));
        }
    }

    /** Zeros stand behind the last class, which would count. */
    @Test
    void theEndOfTheVocabularyIsNotCounted() {
        assumeFalse(FakeCuda.isReal());
        assertThat(sum(device(UnaryOperator.identity()))).isCloseTo(Math.log(3), RATHER_CLOSE);
        assertThat(sum(device(text -> text.replace("(tile + 1) * BN > columns", "tile < 0")))).isGreaterThan(2);
    }

    private CudaBackend device(UnaryOperator<String> edit) {
        return CudaDevices.fresh(cache, edit);
    }

    /** The log-sum-exp of three logits of 0. */
    private static double sum(CudaBackend device) {
        VocabularyKernel kernel = device.kernel(VocabularyKernel.class).orElseThrow();
        Tensor lse = Tensor.empty(device, DType.F32, 1);
        kernel.losses(Tensor.zeros(device, DType.BF16, 1, 8), Tensor.zeros(device, DType.BF16, 3, 8), Tensor.of(device, new long[] {1}, 1), 0, lse,
                Tensor.empty(device, DType.F32, 1));
        return lse.item();
    }
}
