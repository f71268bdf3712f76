/**
 * Tensors, their memory, and the seam behind which every device computes.
 *
 * <p>A {@link dev.jotune.tensor.Tensor} is a typed, strided view of a {@link dev.jotune.tensor.Storage}; a
 * {@link dev.jotune.tensor.Scope} frees what a step made; a {@link dev.jotune.tensor.Backend} computes. Derivatives
 * live one module up; nothing here knows of them.
 */
package dev.jotune.tensor;
