package dev.jotune.autograd.optim;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.AdamWKernel;
import java.util.Optional;

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101, algorithm 2):
 * {@code p *= 1 - lr wd}, then Adam's update with a gradient that knows nothing of the decay.
 *
 * @param amsgrad divide by the largest v so far (Reddi et al., arXiv 1904.09237), taken before the bias correction
 */
public record AdamW(double beta1, double beta2, double eps, double weightDecay, boolean amsgrad) implements UpdateRule {

    /** The usual settings: 0.9, 0.999, 1e-8, weight decay 0.01. */
    public AdamW() {
        this(0.9, 0.999, 1e-8, 0.01, false);
    }

    /** The usual settings with another weight decay. */
    public AdamW(double weightDecay) {
        this(0.9, 0.999, 1e-8, weightDecay, false);
    }

    @Override
    public String name() {
        return "adamw";
    }

    @Override
    public void update(Slots slots, Tensor p, Tensor g, double rate) {
        Optional<AdamWKernel> kernel = p.backend().kernel(AdamWKernel.class);
        boolean plain = p.dtype() == DType.F32 && g.dtype() == DType.F32 && p.isContiguous() && !amsgrad;
        if (kernel.isPresent() && plain) {
            kernel.get().step(p, g.contiguous(), slots.tensor("m"), slots.tensor("v"), rate, beta1, beta2, eps,
                    weightDecay, slots.step());
        } else {
            AdamPrograms.update(slots, p, g, rate, beta1, beta2, eps, 0, 1 - rate * weightDecay, amsgrad);
        }
    }
}
