package dev.jotune.tensor;

import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.kernels.FusedKernel;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * One place that computes: the scalar reference, the CPU's vector units, a GPU.
 *
 * <p>Every backend has the primitives below; they write into outputs that the caller made, so that memory policy stays
 * in one place. What a backend does faster than a composition of primitives it offers as a {@link FusedKernel};
 * where it offers none, the caller runs the operation's definition. Shapes and types were checked by the caller.
 *
 * <p>Floating arithmetic happens in F32 (in F64 on the reference backend); F16 and BF16 operands are widened as they
 * are read.
 */
public interface Backend {
    /** Short and unique: {@code cpu}, {@code reference}, {@code cuda:0}. */
    String name();

    /** What it runs on, for people. */
    String description();

    /** Uninitialised memory. */
    Storage allocate(long bytes);

    /** The most bytes that live tensors held at once in this backend's memory, since {@link #resetPeak()}. */
    default long peakBytes() {
        return HostMemory.peakBytes();
    }

    /** Starts a new measurement of {@link #peakBytes()}. */
    default void resetPeak() {
        HostMemory.resetPeak();
    }

    /** The same values as a tensor of this backend; shares memory where the device can address it. */
    Tensor adopt(Tensor other);

    /** A tensor over a mapped file or other foreign host memory, without copying where the device allows it. */
    Tensor map(MemorySegment bytes, DType dtype, long... shape);

    /** Copies a dense tensor's bytes to the host. */
    void read(Tensor dense, MemorySegment target);

    /** Overwrites a dense tensor's bytes from the host. */
    void write(Tensor dense, MemorySegment source);

    /** Sets every element. */
    void fill(Tensor target, double value);

    /** Copies between any strides and types of equal shape, rounding to nearest even. */
    void copy(Tensor source, Tensor target);

    /**
     * Runs an element-wise program. Inputs stretch to the common shape of all inputs; an output has that shape, or
     * its last axis has size 1 where the program's output is constant along rows. An output may be one of the inputs
     * (the same memory with the same strides): every element is read before it is written.
     */
    void map(Program program, Tensor[] inputs, Tensor[] outputs);

    /** Reduces the axes along which {@code out} (of equal rank) has size 1. */
    void reduce(Reduction op, Tensor x, Tensor out);

    /** The index of the largest element of the last axis, the first of equals: {@code [.., n] -> [..]} in I64. */
    void argmax(Tensor x, Tensor out);

    /**
     * {@code out (+)= a b} for {@code a [.., M, K]}, {@code b [.., K, N]}, {@code out [.., M, N]} with equal leading
     * sizes (stride 0 shares an operand), any strides.
     */
    void matmul(Tensor a, Tensor b, Tensor out, boolean accumulate);

    /** {@code out[i, :] = table[ids[i], :]} for dense ids; ids were checked to be in range by the backend. */
    void gather(Tensor table, Tensor ids, Tensor out);

    /** {@code table[ids[i], :] += rows[i, :]}, in the order of i for repeated ids. */
    void scatterAdd(Tensor rows, Tensor ids, Tensor table);

    /** Element i of the dense {@code out} becomes Philox noise i of (seed, stream): uniform in [0, 1). */
    void uniform(Tensor out, long seed, long stream);

    /** Element i of the dense {@code out} becomes Philox noise i of (seed, stream): standard normal. */
    void normal(Tensor out, long seed, long stream);

    /** Begins to measure how long kernels take; false if this backend cannot. Measuring may slow it down. */
    default boolean startProfile() {
        return false;
    }

    /** Ends measuring: what ran since {@link #startProfile()}, the costliest first. */
    default List<KernelTime> stopProfile() {
        return List.of();
    }

    /** The fused kernel of this kind, if the backend has one. */
    <K extends FusedKernel> Optional<K> kernel(Class<K> kind);
}
