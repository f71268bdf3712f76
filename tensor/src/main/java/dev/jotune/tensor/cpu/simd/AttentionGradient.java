package dev.jotune.tensor.cpu.simd;

/**
 * Where the gradients of one segment go; an address of 0 means the gradient is not wanted.
 *
 * @param dk    F32, contiguous {@code [B, G, S, D]}, or {@code [1, G, S, D]} (summed) if the keys are shared by the
 *              batch; overwritten
 * @param dv    the same for values, last size Dv
 * @param dBias F32 with the strides of the segment's bias; added to
 */
public record AttentionGradient(long dk, long dv, long dBias) {
    /** Nothing wanted. */
    public static final AttentionGradient NONE = new AttentionGradient(0, 0, 0);
}
