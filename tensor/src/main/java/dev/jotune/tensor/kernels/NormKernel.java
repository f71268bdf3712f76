package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * Normalisation over the last axis: RMSNorm (Zhang and Sennrich, arXiv 1910.07467), {@code y = w x / sqrt(mean(x^2) + eps)},
 * and LayerNorm (Ba et al., arXiv 1607.06450), {@code y = w (x - mean) / sqrt(variance + eps) + b}.
 */
public interface NormKernel extends FusedKernel {
    /** Fills the dense {@code out}; {@code x} is dense {@code [.., C]}, {@code weight [C]}. */
    void rmsNorm(Tensor x, Tensor weight, double eps, Tensor out);

    /** Fills the dense {@code sum = x + residual}, which may be one of them, and {@code out}, the RMSNorm of it. */
    void addRmsNorm(Tensor x, Tensor residual, Tensor weight, double eps, Tensor sum, Tensor out);

    /**
     * Fills the gradients that are present: {@code dx} like x, {@code dWeight [C]}.
     *
     * @param more a gradient by x from elsewhere, dense, which is added to dx
     */
    void rmsNormBackward(Tensor x, Tensor weight, double eps, Tensor dOut, Optional<Tensor> more, Optional<Tensor> dx,
            Optional<Tensor> dWeight);

    /** Fills the dense {@code out}, and for each row its mean and {@code 1 / sqrt(variance + eps)}; {@code x} is dense. */
    void layerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor out, Tensor mean, Tensor scale);

    /** Fills {@code sum} as {@link #addRmsNorm} does, and the rest as {@link #layerNorm} of it. */
    void addLayerNorm(Tensor x, Tensor residual, Tensor weight, Tensor bias, double eps, Tensor sum, Tensor out, Tensor mean,
            Tensor scale);

    /** Fills the gradients that are present, from what {@link #layerNorm} left; {@code more} as in {@link #rmsNormBackward}. */
    void layerNormBackward(Tensor x, Tensor weight, Tensor mean, Tensor scale, Tensor dOut, Optional<Tensor> more,
            Optional<Tensor> dx, Optional<Tensor> dWeight, Optional<Tensor> dBias);
}
