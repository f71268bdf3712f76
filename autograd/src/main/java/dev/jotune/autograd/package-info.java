/**
 * Reverse-mode differentiation, eager and define-by-run.
 *
 * <p>{@link dev.jotune.autograd.Var} is a tensor that remembers how it was made, {@link dev.jotune.autograd.Gradients}
 * walks back. Primitive operations live here and know their derivative as operations on {@code Var}, so derivatives
 * can be differentiated again. Fused operations live in {@code ops}; each carries its definition.
 */
package dev.jotune.autograd;
