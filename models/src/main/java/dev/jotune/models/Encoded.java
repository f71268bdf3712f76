package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/**
 * What an encoder made of a source, for decoders to attend to.
 *
 * @param states {@code [B, n + S, C]}, virtual tokens first; one row serves any number of decoder rows
 * @param mask BOOL {@code [B, n + S]}, false at padding; absent if there is none
 * @param virtualTokens n, the most of any row
 */
public record Encoded(Var states, Optional<Tensor> mask, long virtualTokens) {
    /** Rows (B). */
    public long batch() {
        return states.size(0);
    }

    /** The same states, cut off from how they were made: for decoding without derivatives. */
    public Encoded detach() {
        return new Encoded(states.detach(), mask, virtualTokens);
    }
}
