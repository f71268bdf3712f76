package dev.jotune.models;

/**
 * Decoding of one text, a token a step, prepared once: nothing is allocated in a step, and the tape and the tensors of
 * the general forward pass are not there. What it computes is that pass.
 */
public interface TokenSteps extends AutoCloseable {
    /**
     * Reads the token after those in the cache, which then holds it too.
     *
     * @param logits [V] takes the logits after it
     * @return false if this token needs the general way; nothing was done then
     */
    boolean read(int token, float[] logits);

    @Override
    void close();
}
