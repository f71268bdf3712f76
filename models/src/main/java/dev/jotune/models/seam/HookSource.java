package dev.jotune.models.seam;

/**
 * Writes an adapter's hooks anew for every pass: where a model makes the weights of another. What it makes are graph tensors
 * like any other, so gradients flow through them, and they may have a batch dimension: each row of the group its own.
 */
@FunctionalInterface
public interface HookSource {
    /** The hooks of the adapter {@code name} for one pass, at the same places every time. */
    Hooks hooks(String name);
}
