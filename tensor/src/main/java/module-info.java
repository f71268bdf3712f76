/** Tensors, their memory, file formats, random numbers, and the seam behind which every device computes. */
module dev.jotune.tensor {
    // Absent on a JVM started without it: then scalar code runs.
    requires static jdk.incubator.vector;
    requires com.fasterxml.jackson.databind;

    exports dev.jotune.kernel;
    exports dev.jotune.tensor;
    // The CPU backend's inside, for modules with kernels of their own only.
    exports dev.jotune.tensor.cpu to dev.jotune.cuda, dev.jotune.kernels.x86;
    exports dev.jotune.tensor.cpu.simd to dev.jotune.kernels.x86;
    exports dev.jotune.tensor.expr;
    exports dev.jotune.tensor.io;
    exports dev.jotune.tensor.kernels;
    exports dev.jotune.tensor.quant;
    exports dev.jotune.tensor.random;

    uses dev.jotune.tensor.BackendProvider;
    uses dev.jotune.tensor.cpu.CpuExtension;
    provides dev.jotune.tensor.BackendProvider with
            dev.jotune.tensor.cpu.CpuProvider, dev.jotune.tensor.cpu.ReferenceProvider;
}
