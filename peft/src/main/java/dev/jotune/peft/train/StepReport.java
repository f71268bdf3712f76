package dev.jotune.peft.train;

/**
 * One training step that is done.
 *
 * @param step from 1
 * @param totalSteps of the run
 * @param loss before the update, the mean over the labels of the step
 * @param learningRate of the update
 * @param gradNorm Euclidean norm of all gradients before clipping
 * @param tokensPerSecond real tokens, padding apart, of this step
 * @param peakBytes the most tensor memory at once since the run began, memory-mapped weights apart
 */
public record StepReport(long step, long totalSteps, double loss, double learningRate, double gradNorm,
        double tokensPerSecond, long peakBytes) {}
