package dev.jotune.models;

/**
 * Decoding of some texts together, a token a step, prepared once: nothing is allocated in a step, and the tape and the tensors of
 * the general forward pass are not there. What it computes is that pass.
 */
public interface TokenSteps extends AutoCloseable {
    /**
     * Reads the token after those in the cache, for each of its rows, which then hold it too.
     *
     * @param tokens [B]
     * @param logits [B][V] takes the logits after them
     * @return false if these tokens need the general way; nothing was done then
     */
    boolean read(int[] tokens, float[][] logits);

    @Override
    void close();
}
