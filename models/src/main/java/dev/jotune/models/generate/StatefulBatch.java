package dev.jotune.models.generate;

/** A {@link BatchSession} that shows the model's final hidden state of each token, as contrastive search needs it. */
public interface StatefulBatch extends BatchSession {

    /** C, the size of a state. */
    int stateSize();

    /**
     * The final, normalised hidden states of the tokens that a row read last.
     *
     * @return [tokens][C]
     */
    float[][] states(int row);
}
