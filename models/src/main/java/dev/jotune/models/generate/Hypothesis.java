package dev.jotune.models.generate;

/**
 * One of the texts found for a prompt.
 *
 * @param generation the text
 * @param score      what the strategy ranks texts by: beam search's sum of log-probabilities divided by the length to
 *                   the power of the length penalty; NaN where there is nothing to rank
 */
public record Hypothesis(Generation generation, double score) {
}
