package dev.jotune.opencl;

import dev.jotune.testing.conformance.BackendConformance;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** The first OpenCL device does what the reference does. */
class OpenClConformanceTest {
    @TestFactory
    Stream<DynamicTest> primitives() {
        OpenClBackend device = Devices.first();
        return BackendConformance.cases().stream().filter(c -> c.name().startsWith(System.getProperty("jotune.opencl.cases", ""))).map(c -> DynamicTest.dynamicTest(c.name(), () -> c.run(device)));
    }
}
