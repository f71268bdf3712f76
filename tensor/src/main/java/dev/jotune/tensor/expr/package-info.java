/**
 * Element-wise expressions: written once, differentiated symbolically, run by every backend.
 *
 * <p>{@link dev.jotune.tensor.expr.Expr} is the form, {@link dev.jotune.tensor.expr.Derivative} its derivative,
 * {@link dev.jotune.tensor.expr.Program} the straight-line code that a backend interprets or emits. What an
 * expression can say gets no kernel of its own.
 */
package dev.jotune.tensor.expr;
