package dev.jotune.models.patch;

import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.seam.AttentionSite;

/**
 * Where pre-norm stacks differ.
 *
 * @param path of the blocks in the checkpoint: a block's own is this and its number
 * @param names of a block's parts
 * @param tap how the names of the stack's taps begin: empty, {@code text.} or {@code vision.}
 * @param kind what a position sees
 * @param layers L
 * @param hidden C
 * @param inner F
 * @param heads H
 * @param activation in the feed-forward part
 * @param eps of the norms
 * @param attentionBias whether query, key and value have biases
 * @param dropout while training
 */
public record StackOptions(String path, BlockNames names, String tap, AttentionSite.Kind kind, int layers, int hidden,
        int inner, int heads, String activation, double eps, boolean attentionBias, DropoutRates dropout) {
    /** D. */
    public int headDim() {
        return hidden / heads;
    }
}
