/**
 * The text of GPU kernels and what makes a compiler's input of it.
 *
 * <p>A kernel is written once, in a small dialect that OpenCL C 1.2 and CUDA C share ({@link dev.jotune.kernel.KernelSource}
 * describes it); {@link dev.jotune.kernel.Emitter} puts a target's prelude before it. Element-wise expressions need no text:
 * {@link dev.jotune.kernel.ProgramText} writes theirs.
 */
package dev.jotune.kernel;
