package dev.jotune.tensor.cpu.simd;

/**
 * Sizes of an attention call.
 *
 * @param batch     B
 * @param heads     H, query heads
 * @param kvHeads   G, key/value heads; divides H, query head h reads key/value head h / (H / G)
 * @param queries   T, query positions
 * @param headSize  D of queries and keys
 * @param valueSize D of values and outputs
 * @param scale     factor of the scores, usually 1 / sqrt(D)
 */
public record AttentionShape(int batch, int heads, int kvHeads, int queries, int headSize, int valueSize,
        float scale) {
    /**
     * Checks the sizes.
     *
     * @throws IllegalArgumentException if the heads do not divide evenly
     */
    public AttentionShape {
        if (kvHeads < 1 || heads % kvHeads != 0) {
            throw new IllegalArgumentException(heads + " query heads cannot share " + kvHeads
                    + " key/value heads. The second must divide the first.");
        }
    }

    int group() {
        return heads / kvHeads;
    }
}
