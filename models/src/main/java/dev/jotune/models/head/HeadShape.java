package dev.jotune.models.head;

/**
 * Numbers that heads need of a configuration.
 *
 * @param hidden C, of the last states
 * @param embedding features of the embedding table, where the masked head ends
 * @param vocabulary V
 * @param activation of the masked head
 * @param eps of its norm
 * @param tied whether its output layer is the embedding table
 * @param dropoutBefore of the first token's state, while training
 * @param dropoutAfter of what the classifier of texts reads
 * @param tokenDropout of what the classifier of tokens reads
 */
public record HeadShape(int hidden, int embedding, int vocabulary, String activation, double eps, boolean tied,
        double dropoutBefore, double dropoutAfter, double tokenDropout) {}
