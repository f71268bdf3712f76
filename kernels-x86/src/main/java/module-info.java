/** Machine code emitted from Java for x86-64 processors: kernels behind the CPU backend. */
module dev.jotune.kernels.x86 {
    requires dev.jotune.tensor;

    provides dev.jotune.tensor.cpu.CpuExtension with dev.jotune.kernels.x86.X86Extension;
}
