package dev.jotune.tensor.cpu.simd;

/**
 * Where one block of a decoder lies: addresses of F32 vectors, 0 for those that are not there, and products.
 *
 * @param queryNorm of each head
 * @param keyNorm of each head
 * @param window if positive, how many keys a query sees, its own included
 */
public record DecodeLayer(long attentionNorm, RowProduct query, long queryBias, RowProduct key, long keyBias, RowProduct value, long valueBias,
        long queryNorm, long keyNorm, RowProduct output, long outputBias, long mlpNorm, RowProduct gate, long gateBias, RowProduct up,
        long upBias, RowProduct down, long downBias, int window) {}
