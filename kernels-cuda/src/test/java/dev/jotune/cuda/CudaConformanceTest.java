package dev.jotune.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.DecodeKernel;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.kernels.FrozenKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.GroupedLowRankKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.QuantizedProductKernel;
import dev.jotune.tensor.kernels.RotaryKernel;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.TopKKernel;
import dev.jotune.tensor.kernels.VocabularyKernel;
import dev.jotune.testing.KernelConformance;
import dev.jotune.testing.conformance.BackendConformance;
import dev.jotune.testing.conformance.Case;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** A CUDA device does what the reference does: the host code with the texts of all kernels, on a device or on the emulator. */
class CudaConformanceTest {
    /** Only cases whose names begin so: for work on one kernel. */
    private static final String ONLY = System.getProperty("jotune.cuda.cases", "");

    /** Without its kernel an operation's case would be passed by the definition, and a kernel's own case by nothing. */
    @Test
    void hasEveryKernelThatCasesAreFor() {
        assertThat(Stream.<Class<? extends FusedKernel>>of(
                AdamWKernel.class, AttentionKernel.class, DecodeKernel.class, DequantizeKernel.class, FrozenKernel.class,
                GroupedLowRankKernel.class, NormKernel.class, QuantizedProductKernel.class, RotaryKernel.class, ScanKernel.class,
                SparseKernel.class, TopKKernel.class, VocabularyKernel.class))
                .allSatisfy(kind -> assertThat(CudaDevices.shared().kernel(kind)).isPresent());
    }

    @TestFactory
    Stream<DynamicTest> primitives() {
        return all(BackendConformance.cases());
    }

    @TestFactory
    Stream<DynamicTest> operations() {
        return all(KernelConformance.cases());
    }

    private static Stream<DynamicTest> all(List<Case> cases) {
        // Where there is no device the factory is skipped, not each case.
        CudaDevices.info();
        return cases.stream().filter(c -> c.name().startsWith(ONLY)).map(c -> DynamicTest.dynamicTest(c.name(), () -> c.run(CudaDevices.shared())));
    }
}
