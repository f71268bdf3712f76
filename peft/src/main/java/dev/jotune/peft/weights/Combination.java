package dev.jotune.peft.weights;

import java.util.List;

/**
 * One vector of several: task vectors {@code tau_i = W_i - W} of checkpoints, or the factors of adapters. What it makes
 * is computed when it is read.
 */
@FunctionalInterface
public interface Combination {
    /**
     * @param vectors of one size
     * @param weights a factor for each
     * @param stream tells the noise of this place from that of others
     */
    Values of(List<Values> vectors, double[] weights, long stream);
}
