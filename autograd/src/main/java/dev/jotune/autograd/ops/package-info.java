/**
 * What models are made of: activations, softmax, norms, rotary embedding, attention over segments, losses, dropout,
 * recomputation. Every fused operation states its definition in terms of primitives beside it.
 */
package dev.jotune.autograd.ops;
