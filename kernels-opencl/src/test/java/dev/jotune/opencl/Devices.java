package dev.jotune.opencl;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.jotune.tensor.Backend;
import java.util.List;

/** The device that tests run on: the first one. Without any, tests are skipped, or fail where one was promised. */
final class Devices {
    /** Set where an OpenCL driver was installed, so that its absence is a failure. */
    private static final String REQUIRED = "jotune.opencl.required";
    private static final OpenClProvider PROVIDER = new OpenClProvider();

    private Devices() {}

    static OpenClBackend first() {
        List<Backend> all = PROVIDER.backends();
        if (all.isEmpty() && Boolean.getBoolean(REQUIRED)) {
            throw new AssertionError("-D" + REQUIRED + "=true, but there is no OpenCL device: " + PROVIDER.note());
        }
        assumeTrue(!all.isEmpty(), PROVIDER::note);
        return (OpenClBackend) all.getFirst();
    }
}
