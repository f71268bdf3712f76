package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;

/** Rotary position embedding (Su et al., arXiv 2104.09864). */
public interface RotaryKernel extends FusedKernel {
    /**
     * Rotates the first {@code 2 cos.size(-1)} features of {@code x [B, H, T, D]} into the dense {@code out}; later
     * features pass through.
     *
     * @param cos {@code [B or 1, T, rotary / 2]}
     * @param sin the same shape
     * @param interleaved pairs are features (2i, 2i + 1) instead of (i, i + rotary / 2)
     * @param inverse rotate backwards, as the derivative does
     */
    void rotate(Tensor x, Tensor cos, Tensor sin, boolean interleaved, boolean inverse, Tensor out);
}
