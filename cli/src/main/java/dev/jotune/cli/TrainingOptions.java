package dev.jotune.cli;

import dev.jotune.peft.train.TrainOptions;
import picocli.CommandLine.Option;

/** How to train, named as transformers' TrainingArguments name it. */
final class TrainingOptions {
    private static final TrainOptions D = TrainOptions.DEFAULTS;

    @Option(names = "--learning-rate", paramLabel = "X", description = "The highest of the schedule. Default: 1e-3.")
    private Double learningRate;

    @Option(names = "--max-steps", paramLabel = "N", description = "Updates. Default: as many as --num-train-epochs take.")
    private Integer maxSteps;

    @Option(names = {"--num-train-epochs", "--epochs"}, paramLabel = "X", description = "Passes over the data. Default: 3.")
    private Double epochs;

    @Option(names = {"--batch-size", "--per-device-train-batch-size"}, paramLabel = "N",
            description = "Rows of a forward pass. Default: 8.")
    private Integer batchSize;

    @Option(names = "--gradient-accumulation-steps", paramLabel = "N", description = "Forward passes of an update. Default: 1.")
    private Integer gradientAccumulation;

    @Option(names = "--max-length", paramLabel = "N", description = "Tokens of an example; what is longer loses its end. "
            + "Default: the model's context.")
    private Integer maxLength;

    @Option(names = "--warmup-steps", paramLabel = "N", description = "Updates of linear rise. Default: 0.")
    private Integer warmupSteps;

    @Option(names = "--lr-scheduler-type", paramLabel = "NAME", description = "linear, cosine, constant, ... Default: linear.")
    private String schedule;

    @Option(names = "--optim", paramLabel = "NAME", description = "adamw, adam, sgd, lion, ... Default: adamw.")
    private String optimizer;

    @Option(names = "--weight-decay", paramLabel = "X", description = "Default: 0.")
    private Double weightDecay;

    @Option(names = "--max-grad-norm", paramLabel = "X", description = "Clips gradients; 0 is off. Default: 1.")
    private Double maxGradNorm;

    @Option(names = "--seed", paramLabel = "N", description = "Of the start, the order of the data and dropout. Default: 42.")
    private Long seed;

    @Option(names = {"--save-every", "--save-steps"}, paramLabel = "N",
            description = "Updates between checkpoints in DIR of --out; 0 saves at the end only. Default: 100.")
    private Integer saveEvery;

    @Option(names = "--gradient-checkpointing", description = "Less memory, one more forward pass.")
    private boolean gradientCheckpointing;

    /** @throws UsageException naming an option that is out of range */
    TrainOptions read() {
        try {
            int steps = maxSteps == null ? D.maxSteps() : maxSteps;
            return new TrainOptions(or(learningRate, D.learningRate()), steps, or(epochs, D.epochs()), or(batchSize, D.batchSize()),
                    or(gradientAccumulation, D.gradientAccumulation()), or(maxLength, D.maxLength()),
                    or(warmupSteps, D.warmupSteps()), schedule == null ? D.schedule() : schedule,
                    optimizer == null ? D.optimizer() : optimizer, or(weightDecay, D.weightDecay()),
                    or(maxGradNorm, D.maxGradNorm()), seed == null ? D.seed() : seed, or(saveEvery, D.saveEvery()),
                    gradientCheckpointing);
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }

    private static int or(Integer given, int otherwise) {
        return given == null ? otherwise : given;
    }

    private static double or(Double given, double otherwise) {
        return given == null ? otherwise : given;
    }
}
