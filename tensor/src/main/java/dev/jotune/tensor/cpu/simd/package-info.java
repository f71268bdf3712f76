/**
 * Kernels of the CPU backend: static methods over raw native addresses (bytes) and strides in elements.
 *
 * <p>Nothing here knows tensors: callers check shapes and keep the memory alive for the length of the call.
 * The classes of this package are the only ones that use {@code jdk.incubator.vector}; they must not be
 * loaded when that module is absent. Every kernel is written for any vector length from 128 to 512 bits; the
 * lane count is a {@code static final} constant, so the compiler sees one fixed width.
 */
package dev.jotune.tensor.cpu.simd;
