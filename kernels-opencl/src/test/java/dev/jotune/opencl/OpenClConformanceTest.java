package dev.jotune.opencl;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.DequantizeKernel;
import dev.jotune.tensor.kernels.FusedKernel;
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

/** The first OpenCL device does what the reference does. */
class OpenClConformanceTest {
    /** Only cases whose names begin so: for work on one kernel. */
    private static final String ONLY = System.getProperty("jotune.opencl.cases", "");

    /** Without its kernel an operation's case would be passed by the definition, and a kernel's own case by nothing. */
    @Test
    void hasEveryKernelThatCasesAreFor() {
        assertThat(Stream.<Class<? extends FusedKernel>>of(
                AdamWKernel.class, AttentionKernel.class, DequantizeKernel.class, NormKernel.class, QuantizedProductKernel.class,
                RotaryKernel.class, ScanKernel.class, SparseKernel.class, TopKKernel.class, VocabularyKernel.class))
                .allSatisfy(kind -> assertThat(Devices.first().kernel(kind)).isPresent());
    }

    @TestFactory
    Stream<DynamicTest> primitives() {
        return on(Devices.first(), BackendConformance.cases());
    }

    @TestFactory
    Stream<DynamicTest> operations() {
        return on(Devices.first(), KernelConformance.cases());
    }

    private static Stream<DynamicTest> on(OpenClBackend device, List<Case> cases) {
        return cases.stream().filter(c -> c.name().startsWith(ONLY)).map(c -> DynamicTest.dynamicTest(c.name(), () -> c.run(device)));
    }
}
