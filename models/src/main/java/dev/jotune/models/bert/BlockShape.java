package dev.jotune.models.bert;

/**
 * The numbers of a post-norm block.
 *
 * @param hidden C
 * @param inner F
 * @param heads H
 * @param headDim D
 * @param activation in the feed-forward part
 * @param eps of the norms
 * @param dropout while training
 */
public record BlockShape(int hidden, int inner, int heads, int headDim, String activation, double eps, Dropped dropout) {
    /**
     * What is dropped while training.
     *
     * @param attention of its probabilities
     * @param attended of what attention adds to the residual stream
     * @param fed of what the feed-forward part adds
     */
    public record Dropped(double attention, double attended, double fed) {}
}
