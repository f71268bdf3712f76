package dev.jotune.kernel;

import dev.jotune.tensor.DType;

/** One parameter of a kernel. The list of them, in Java, is the only place that says how a kernel is called. */
public sealed interface Param {
    /** As the kernel's text calls it. */
    String name();

    /**
     * Device memory. The launch passes two arguments: the memory, and a 64-bit offset in elements that the kernel adds once;
     * the text then reads {@code LD(name, i)} and writes {@code ST(name, i, v)}, which convert from and to the stored type.
     *
     * @param written false: the kernel only reads it
     */
    record Buffer(String name, DType type, boolean written) implements Param {}

    /** A 32-bit integer. */
    record Int(String name) implements Param {}

    /** A 64-bit integer. */
    record Long(String name) implements Param {}

    /** A number of the kernel's arithmetic type: passed as a float, or as a double where the kernel computes in F64. */
    record Real(String name) implements Param {}

    /**
     * A descriptor of a tensor in device memory, by which a CUDA device of compute capability 9.0 copies whole boxes. Passed by value;
     * no other target has it.
     */
    record TensorMap(String name) implements Param {}

    /** Memory that is read. */
    static Param in(String name, DType type) {
        return new Buffer(name, type, false);
    }

    /** Memory that is written, and may be read. */
    static Param out(String name, DType type) {
        return new Buffer(name, type, true);
    }

    /** A 32-bit integer. */
    static Param int32(String name) {
        return new Int(name);
    }

    /** A 64-bit integer. */
    static Param int64(String name) {
        return new Long(name);
    }

    /** A number of the kernel's arithmetic type. */
    static Param real(String name) {
        return new Real(name);
    }

    /** A descriptor of a tensor. */
    static Param tensorMap(String name) {
        return new TensorMap(name);
    }
}
