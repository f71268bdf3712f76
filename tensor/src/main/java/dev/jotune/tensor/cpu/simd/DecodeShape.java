package dev.jotune.tensor.cpu.simd;

/**
 * Sizes of a decoder as {@link DecodeSteps} needs them: C, H, G, D, F and V.
 *
 * @param rotary features of a head that turn, in halves
 */
public record DecodeShape(int hidden, int heads, int groups, int headDim, int inner, int vocabulary, int rotary, double eps,
        float attentionScale) {}
