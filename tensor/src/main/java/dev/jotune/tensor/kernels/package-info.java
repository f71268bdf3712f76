/**
 * The fused operations a backend may offer beyond its primitives: one interface each, tensors in, tensors out.
 * Their definitions in terms of primitives live with the operations, in the autograd module.
 */
package dev.jotune.tensor.kernels;
