package dev.jotune.models;

import dev.jotune.autograd.Var;

/**
 * What a stack of blocks gives.
 *
 * @param states {@code [B, n + T, C]}, virtual tokens first
 * @param virtualTokens n, the most of any row
 */
public record Hidden(Var states, long virtualTokens) {
    /** Only the text's positions, {@code [B, T, C]}. */
    public Var text() {
        return states.slice(1, virtualTokens, states.size(1));
    }
}
