package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.AttentionKernel.Mask;
import dev.jotune.tensor.kernels.AttentionKernel.Problem;
import dev.jotune.tensor.kernels.AttentionKernel.Segment;
import dev.jotune.testing.conformance.Twin;
import dev.jotune.testing.conformance.Twin.Layout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Attention over keys and values in 16 bits: widened as they are read, so the same numbers as over their widened copies. */
class StoredKeysTest {
    private final OpenClBackend device = Devices.first();
    private final AttentionKernel attention = device.kernel(AttentionKernel.class).orElseThrow();

    private Tensor normal(long stream, long... shape) {
        return Twin.normal(device, DType.F32, Layout.DENSE, stream, shape).tested();
    }

    private List<double[]> attend(Tensor key, Tensor value) {
        Tensor q = normal(1, 2, 4, 6, 8);
        Problem p = new Problem(q, List.of(new Segment(key, value, new Mask(true, 3, 0, Optional.empty(), Optional.empty()))), 0.3, 0);
        assertThat(attention.supports(p)).isTrue();
        Tensor out = Tensor.empty(device, DType.F32, 2, 4, 6, 10);
        Tensor lse = Tensor.empty(device, DType.F32, 2, 4, 6);
        attention.forward(p, out, lse);
        Tensor dQuery = Tensor.empty(device, DType.F32, 2, 4, 6, 8);
        Tensor dKey = Tensor.empty(device, DType.F32, 1, 2, 9, 8);
        Tensor dValue = Tensor.empty(device, DType.F32, 1, 2, 9, 10);
        attention.backward(p, out, lse, normal(2, 2, 4, 6, 10), Optional.empty(), Optional.of(dQuery), List.of(Optional.of(dKey)),
                List.of(Optional.of(dValue)));
        return List.of(out.toDoubleArray(), lse.toDoubleArray(), dQuery.toDoubleArray(), dKey.toDoubleArray(), dValue.toDoubleArray());
    }

    @Test
    void keysAndValuesAreWidenedAsTheyAreRead() {
        try (Scope scope = Scope.open()) {
            Tensor key = normal(3, 1, 2, 9, 8).to(DType.BF16);
            Tensor value = normal(4, 1, 2, 9, 10).to(DType.F16);
            List<double[]> got = attend(key, value);
            List<double[]> want = attend(key.to(DType.F32), value.to(DType.F32));
            for (int i = 0; i < want.size(); i++) {
                assertThat(got.get(i)).isEqualTo(want.get(i));
            }
        }
    }

    @Test
    void whatItHasNoKernelForIsSaid() {
        try (Scope scope = Scope.open()) {
            Tensor narrow = Tensor.zeros(device, DType.F32, 1, 1, 1, 8);
            Tensor wide = Tensor.zeros(device, DType.F32, 1, 1, 1, 257);
            Tensor half = narrow.to(DType.F16);
            assertThat(attention.supports(problem(narrow, narrow, wide))).isFalse();
            assertThat(attention.supports(problem(wide, wide, narrow))).isFalse();
            assertThat(attention.supports(problem(half, narrow, narrow))).isFalse();
            assertThat(attention.supports(problem(narrow, half, narrow))).isTrue();
        }
    }

    private static Problem problem(Tensor query, Tensor key, Tensor value) {
        return new Problem(query, List.of(new Segment(key, value, Mask.NONE)), 1, 0);
    }
}
