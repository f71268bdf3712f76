package dev.jotune.peft.train;

import dev.jotune.autograd.optim.Optimizer;
import dev.jotune.autograd.optim.Optimizers;
import dev.jotune.autograd.optim.Schedule;
import dev.jotune.autograd.optim.Schedules;
import dev.jotune.autograd.optim.UpdateRule;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * How a run trains.
 *
 * @param learningRate the schedule's highest
 * @param maxSteps updates; 0: as many as {@code epochs} take
 * @param epochs how often the data set is gone through, where {@code maxSteps} is 0
 * @param batchSize rows of a forward pass
 * @param gradientAccumulation forward passes of an update
 * @param maxLength tokens of an example at most; 0: as many as fit into the model's context beside what is virtual
 * @param warmupSteps updates of linear rise from 0, for schedules that have it
 * @param schedule a name of {@link Schedules}
 * @param optimizer a name of {@link Optimizers}
 * @param weightDecay the optimiser's
 * @param maxGradNorm gradients are clipped to this Euclidean norm; 0: not at all
 * @param seed of order and noise
 * @param saveEvery updates between checkpoints; 0: only at the end
 * @param gradientCheckpointing recompute activations in the backward pass: less memory, one more forward pass
 */
public record TrainOptions(double learningRate, int maxSteps, double epochs, int batchSize, int gradientAccumulation,
        int maxLength, int warmupSteps, String schedule, String optimizer, double weightDecay, double maxGradNorm,
        long seed, int saveEvery, boolean gradientCheckpointing) {

    /** AdamW at 1e-3, falling linearly over three epochs in batches of 8. */
    public static final TrainOptions DEFAULTS = new TrainOptions(1e-3, 0, 3, 8, 1, 0, 0, "linear", "adamw", 0, 1, 42,
            100, false);

    /** @throws IllegalArgumentException naming the option that is out of range or unknown */
    public TrainOptions {
        check(Double.isFinite(learningRate) && learningRate >= 0, "learning rate", learningRate,
                "a number of 0 or more");
        check(maxSteps >= 0, "maxSteps", maxSteps, "0 (go by epochs) or more");
        check(maxSteps > 0 || Double.isFinite(epochs) && epochs > 0, "epochs", epochs, "more than 0");
        check(batchSize > 0, "batch size", batchSize, "1 or more");
        check(gradientAccumulation > 0, "gradient accumulation", gradientAccumulation, "1 or more");
        check(maxLength >= 0 && maxLength != 1, "maxLength", maxLength, "0 (the model's context), or 2 or more");
        check(warmupSteps >= 0, "warmup steps", warmupSteps, "0 or more");
        check(Double.isFinite(weightDecay) && weightDecay >= 0, "weight decay", weightDecay, "a number of 0 or more");
        check(maxGradNorm >= 0, "maxGradNorm", maxGradNorm, "0 (no clipping) or more");
        check(saveEvery >= 0, "saveEvery", saveEvery, "0 (only at the end) or more");
        // Both refuse names and settings that there are not.
        rule(optimizer, weightDecay, learningRate);
        rates(schedule, learningRate, warmupSteps, Math.max(1, maxSteps));
    }

    private static void check(boolean good, String name, Object value, String wanted) {
        if (!good) {
            throw new IllegalArgumentException("the " + name + " is " + value + ". It must be " + wanted + ".");
        }
    }

    private static UpdateRule rule(String name, double weightDecay, double rate) {
        return Optimizers.byName(name, Map.of("weight_decay", weightDecay, "lr", rate));
    }

    private static Schedule rates(String name, double rate, int warmup, long total) {
        return Schedules.byName(name, Map.of("base_lr", rate, "warmup", warmup, "total", total));
    }

    /** The learning rates of a run of so many updates. */
    public Schedule rates(long total) {
        return rates(schedule, learningRate, warmupSteps, total);
    }

    /** The optimiser of a run of so many updates, without transforms before it. */
    Optimizer optimizer(long total) {
        return rule(optimizer, weightDecay, learningRate).with(rates(total));
    }

    /** Updates of a run over {@code examples} examples. */
    public long totalSteps(long examples) {
        return maxSteps > 0 ? maxSteps
                : (long) Math.ceil(epochs * examples / ((double) batchSize * gradientAccumulation));
    }

    /** What must be the same when a run goes on; how often it is saved and what is recomputed may differ. */
    SequencedMap<String, String> fingerprint() {
        SequencedMap<String, String> all = new LinkedHashMap<>();
        all.put("learningRate", Double.toString(learningRate));
        all.put("maxSteps", Integer.toString(maxSteps));
        all.put("epochs", maxSteps > 0 ? "not used" : Double.toString(epochs));
        all.put("batchSize", Integer.toString(batchSize));
        all.put("gradientAccumulation", Integer.toString(gradientAccumulation));
        all.put("maxLength", Integer.toString(maxLength));
        all.put("warmupSteps", Integer.toString(warmupSteps));
        all.put("schedule", schedule);
        all.put("optimizer", optimizer);
        all.put("weightDecay", Double.toString(weightDecay));
        all.put("maxGradNorm", Double.toString(maxGradNorm));
        all.put("seed", Long.toString(seed));
        return all;
    }

    public TrainOptions withLearningRate(double v) {
        return new TrainOptions(v, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps, schedule,
                optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withMaxSteps(int v) {
        return new TrainOptions(learningRate, v, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    /** So many passes over the data, whatever {@code maxSteps} was. */
    public TrainOptions withEpochs(double v) {
        return new TrainOptions(learningRate, 0, v, batchSize, gradientAccumulation, maxLength, warmupSteps, schedule,
                optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withBatchSize(int v) {
        return new TrainOptions(learningRate, maxSteps, epochs, v, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withGradientAccumulation(int v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, v, maxLength, warmupSteps, schedule,
                optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withMaxLength(int v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, v, warmupSteps,
                schedule, optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withWarmupSteps(int v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, v, schedule,
                optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withSchedule(String v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                v, optimizer, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withOptimizer(String v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, v, weightDecay, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withWeightDecay(double v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, v, maxGradNorm, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withMaxGradNorm(double v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, weightDecay, v, seed, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withSeed(long v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, weightDecay, maxGradNorm, v, saveEvery, gradientCheckpointing);
    }

    public TrainOptions withSaveEvery(int v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, weightDecay, maxGradNorm, seed, v, gradientCheckpointing);
    }

    public TrainOptions withGradientCheckpointing(boolean v) {
        return new TrainOptions(learningRate, maxSteps, epochs, batchSize, gradientAccumulation, maxLength, warmupSteps,
                schedule, optimizer, weightDecay, maxGradNorm, seed, saveEvery, v);
    }
}
