package dev.jotune.models.head;

/**
 * What a family calls its heads' modules in checkpoints, and where it differs.
 *
 * @param maskedDense first layer of the masked language model's head
 * @param maskedNorm its norm
 * @param maskedDecoder its output layer, whose weight is the embedding table unless untied
 * @param maskedBias the output layer's bias, a parameter
 * @param dense the layer on the first token's state, before the classifier
 * @param denseActivation after it
 * @param classifier the classifier of texts
 * @param tokenClassifier the classifier of tokens
 * @param pooler the base model's pooler, within it; empty for none
 */
public record HeadNames(String maskedDense, String maskedNorm, String maskedDecoder, String maskedBias, String dense,
        String denseActivation, String classifier, String tokenClassifier, String pooler) {}
