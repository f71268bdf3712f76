package dev.jotune.autograd.optim;

import dev.jotune.tensor.Tensor;

/**
 * Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1): {@code m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
 * p -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)}. Weight decay enters the gradient (L2); {@link AdamW} is
 * the variant that keeps it apart.
 *
 * @param amsgrad divide by the largest v so far (Reddi et al., arXiv 1904.09237), taken before the bias correction
 */
public record Adam(double beta1, double beta2, double eps, double weightDecay, boolean amsgrad) implements UpdateRule {

    /** The settings of the paper. */
    public Adam() {
        this(0.9, 0.999, 1e-8, 0, false);
    }

    @Override
    public String name() {
        return "adam";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        AdamPrograms.update(slots, p, g, rate, beta1, beta2, eps, weightDecay, 1, amsgrad);
    }
}
