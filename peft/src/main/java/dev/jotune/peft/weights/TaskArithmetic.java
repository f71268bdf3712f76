package dev.jotune.peft.weights;

import java.util.List;

/**
 * Editing Models with Task Arithmetic (Ilharco et al., arXiv 2212.04089): {@code tau = sum of w_i tau_i}. Negative weights
 * take away what was learnt.
 */
public record TaskArithmetic() implements Combination {
    @Override
    public Values of(List<Values> vectors, double[] weights, long stream) {
        return Values.sum(vectors, weights);
    }
}
