package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FrozenKernel.Joined;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.testing.conformance.BackendConformance;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The CPU backend does what the reference does when machine code works for it. */
class BackendWithExtensionTest {
    @TestFactory
    Stream<DynamicTest> conforms() {
        return BackendConformance.cases().stream().map(c -> DynamicTest.dynamicTest(c.name(), () -> c.run(Backends.cpu())));
    }

    @Test
    void theBackendHasTheExtensionsKernel() {
        assertThat(Backends.cpu().description().contains("machine code")).isEqualTo(new X86Extension().isAvailable());
        if (!Machine.hasVectors()) {
            return;
        }
        // The Vector API's kernel keeps the accuracy of F32; rounded to BF16, 1.001 is 1.
        FrozenKernel kernel = Backends.cpu().kernel(FrozenKernel.class).orElseThrow();
        Tensor w = Tensor.full(Backends.cpu(), DType.F32, 1.001, 64, 64);
        Tensor y = Tensor.zeros(Backends.cpu(), DType.F32, 2, 64);
        kernel.product(kernel.pack(w), Tensor.full(Backends.cpu(), DType.F32, 1, 2, 64), y, Precision.BF16, Joined.NONE);
        assertThat(y.toFloatArray()).containsOnly(64f);
    }
}
