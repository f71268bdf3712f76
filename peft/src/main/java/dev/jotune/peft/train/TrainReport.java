package dev.jotune.peft.train;

import java.util.List;

/**
 * A run that is done.
 *
 * @param losses of every step, those before a resumption too
 * @param seconds that this process trained, from the first step on
 * @param tokensPerSecond real tokens that this process trained on in a second
 * @param peakBytes the most tensor memory at once, memory-mapped weights apart
 * @param trainedTokens real tokens of all steps, padding apart
 * @param peakResidentBytes the most memory the process ever had (VmHWM); -1 where the system does not say
 * @param steps of the whole run
 * @param resumedAt the step that the run went on from; 0 for a fresh run
 * @param cutExamples examples that lost their end to the greatest length
 * @param maxLength the greatest length of an example in this run
 * @param notes what the listener was told
 */
public record TrainReport(List<Double> losses, double seconds, double tokensPerSecond, long peakBytes,
        long trainedTokens, long peakResidentBytes, long steps, long resumedAt, int cutExamples, int maxLength,
        List<String> notes) {
    public TrainReport {
        losses = List.copyOf(losses);
        notes = List.copyOf(notes);
    }

    /** The loss of the last step; NaN if there was none. */
    public double lastLoss() {
        return losses.isEmpty() ? Double.NaN : losses.getLast();
    }
}
