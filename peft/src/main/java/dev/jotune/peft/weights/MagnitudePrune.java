package dev.jotune.peft.weights;

import java.util.List;

/**
 * Of each vector the largest: {@code tau = sum of w_i top(tau_i)}, where top keeps the share {@code density} that is largest in
 * magnitude (PEFT's {@code magnitude_prune}; what TIES, arXiv 2306.01708, calls trimming).
 *
 * @param density share of the numbers that stay, in [0, 1]
 */
public record MagnitudePrune(double density) implements Combination {
    public MagnitudePrune {
        Largest.checkShare(density);
    }

    @Override
    public Values of(List<Values> vectors, double[] weights, long stream) {
        return Values.sum(trim(vectors, density), weights);
    }

    static List<Values> trim(List<Values> vectors, double density) {
        return density == 1 ? vectors : vectors.stream().map(v -> Largest.share(v, density).of(v)).toList();
    }
}
