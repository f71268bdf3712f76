package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;
import java.util.Optional;

/** RMSNorm (Zhang and Sennrich, arXiv 1910.07467) over the last axis: {@code y = w x / sqrt(mean(x^2) + eps)}. */
public interface NormKernel extends FusedKernel {
    /** Fills the dense {@code out}; {@code x} is dense {@code [.., C]}, {@code weight [C]}. */
    void rmsNorm(Tensor x, Tensor weight, double eps, Tensor out);

    /** Fills the gradients that are present: {@code dx} like x, {@code dWeight [C]}. */
    void rmsNormBackward(Tensor x, Tensor weight, double eps, Tensor dOut, Optional<Tensor> dx,
            Optional<Tensor> dWeight);
}
