package dev.jotune.tensor.cpu.simd;

/**
 * Where the gradients of one segment go; an address of 0 means the gradient is not wanted.
 *
 * @param dk    F32 {@code [B, G, S, D]}, or {@code [1, G, S, D]} (summed) if the keys are shared by the batch; overwritten
 * @param dv    the same for values, last size Dv
 * @param dBias F32 with the strides of the segment's bias; added to
 */
public record AttentionGradient(Heads dk, Heads dv, long dBias) {
    /** Neither is wanted. */
    boolean isEmpty() {
        return dk.address() == 0 && dv.address() == 0 && dBias == 0;
    }
}
