package dev.jotune.opencl;

import dev.jotune.testing.KernelConformance;
import dev.jotune.testing.conformance.BackendConformance;
import dev.jotune.testing.conformance.Case;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The first OpenCL device does what the reference does. */
class OpenClConformanceTest {
    /** Only cases whose names begin so: for work on one kernel. */
    private static final String ONLY = System.getProperty("jotune.opencl.cases", "");

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
