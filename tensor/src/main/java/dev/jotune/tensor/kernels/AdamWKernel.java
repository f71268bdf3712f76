package dev.jotune.tensor.kernels;

import dev.jotune.tensor.Tensor;

/** One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101) in place. */
public interface AdamWKernel extends FusedKernel {
    /**
     * {@code p *= 1 - lr wd; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
     * p -= lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)}. All tensors dense and of equal size.
     *
     * @param step t, from 1
     */
    void step(Tensor parameter, Tensor gradient, Tensor m, Tensor v, double lr, double beta1, double beta2, double eps,
            double weightDecay, long step);
}
