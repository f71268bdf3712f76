package dev.jotune.tensor.kernels;

/** A kernel that a backend may have; asked for with {@link dev.jotune.tensor.Backend#kernel}. */
public interface FusedKernel {}
