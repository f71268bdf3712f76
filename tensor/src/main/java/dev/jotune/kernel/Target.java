package dev.jotune.kernel;

/** A language that kernel text is emitted in. */
public enum Target {
    /** OpenCL C 1.2, the floor of all drivers. */
    OPENCL("prelude-opencl.h"),
    /** CUDA C without any header, as run-time compilation needs it. */
    CUDA("prelude-cuda.h");

    private final String prelude;

    Target(String prelude) {
        this.prelude = prelude;
    }

    /** The resource, beside this class, that gives the dialect's words their meaning. */
    String prelude() {
        return prelude;
    }
}
