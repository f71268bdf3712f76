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
 * @param dropout of what is added to the residual stream, while training
 */
public record BlockShape(int hidden, int inner, int heads, int headDim, String activation, double eps, double dropout) {}
