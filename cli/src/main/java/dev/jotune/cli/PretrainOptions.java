package dev.jotune.cli;

import dev.jotune.peft.train.TrainOptions;
import picocli.CommandLine.Option;

/** Size and training of a model that begins at nothing, named as transformers names them. */
final class PretrainOptions {
    @Option(names = "--size", paramLabel = "NAME", defaultValue = "small",
            description = "small (2 layers of 32), medium (3 of 48) or large (3 of 96); what follows changes it. Default: ${DEFAULT-VALUE}.")
    private String size;

    @Option(names = "--hidden-size", paramLabel = "N", description = "Features of a token.")
    private Integer hidden;

    @Option(names = "--intermediate-size", paramLabel = "N", description = "Features inside a feed-forward layer.")
    private Integer inner;

    @Option(names = "--num-hidden-layers", paramLabel = "N", description = "Layers.")
    private Integer layers;

    @Option(names = "--num-attention-heads", paramLabel = "N", description = "Heads of attention; they divide --hidden-size.")
    private Integer heads;

    @Option(names = "--num-key-value-heads", paramLabel = "N", description = "Heads of keys and values. Default: as many.")
    private Integer keyHeads;

    @Option(names = "--max-length", paramLabel = "N", defaultValue = "64", description = "Tokens of a row, which texts share, and the "
            + "model's context. Default: ${DEFAULT-VALUE}.")
    private int maxLength;

    @Option(names = "--max-steps", paramLabel = "N", defaultValue = "1000", description = "Updates. Default: ${DEFAULT-VALUE}.")
    private int maxSteps;

    @Option(names = {"--batch-size", "--per-device-train-batch-size"}, paramLabel = "N", defaultValue = "16",
            description = "Rows of an update. Default: ${DEFAULT-VALUE}.")
    private int batchSize;

    @Option(names = "--learning-rate", paramLabel = "X", defaultValue = "0.003", description = "The highest of the schedule. "
            + "Default: ${DEFAULT-VALUE}.")
    private double learningRate;

    @Option(names = "--warmup-steps", paramLabel = "N", defaultValue = "50", description = "Updates of linear rise. "
            + "Default: ${DEFAULT-VALUE}.")
    private int warmupSteps;

    @Option(names = "--lr-scheduler-type", paramLabel = "NAME", defaultValue = "cosine", description = "linear, cosine, constant, ... "
            + "Default: ${DEFAULT-VALUE}.")
    private String schedule;

    @Option(names = "--weight-decay", paramLabel = "X", defaultValue = "0", description = "Default: ${DEFAULT-VALUE}.")
    private double weightDecay;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "42", description = "Of the start and the order of the texts; the same "
            + "seed gives the same bytes. Default: ${DEFAULT-VALUE}.")
    private long seed;

    @Option(names = {"--save-every", "--save-steps"}, paramLabel = "N", defaultValue = "200",
            description = "Updates between checkpoints in DIR of --out; 0 saves at the end only. Default: ${DEFAULT-VALUE}.")
    private int saveEvery;

    /** @throws UsageException naming an option that is out of range */
    LlamaSize size() {
        LlamaSize named = null;
        for (LlamaSize.Named n : LlamaSize.Named.values()) {
            named = n.name().equals(size) ? n.size : named;
        }
        if (named == null) {
            throw new UsageException("--size: there is no size '" + size + "'. Sizes: small, medium, large");
        }
        int h = positive("--num-attention-heads", heads, named.heads());
        int g = positive("--num-key-value-heads", keyHeads, heads == null ? named.keyHeads() : h);
        LlamaSize s = new LlamaSize(positive("--hidden-size", hidden, named.hidden()), positive("--intermediate-size", inner, named.inner()),
                positive("--num-hidden-layers", layers, named.layers()), h, g);
        if (s.hidden() % (2 * h) != 0) {
            throw new UsageException("--hidden-size is " + s.hidden() + ", which " + h + " heads do not divide into even parts. Give a "
                    + "multiple of " + 2 * h);
        }
        if (h % g != 0) {
            throw new UsageException("--num-key-value-heads is " + g + ", which does not divide " + h + " heads. Give a divisor");
        }
        return s;
    }

    private static int positive(String name, Integer given, int otherwise) {
        int value = given == null ? otherwise : given;
        if (value < 1) {
            throw new UsageException(name + " is " + value + "; it must be at least 1");
        }
        return value;
    }

    /** @throws UsageException naming an option that is out of range */
    TrainOptions training() {
        positive("--max-steps", maxSteps, 0);
        if (maxLength < 2) {
            throw new UsageException("--max-length is " + maxLength + "; it must be at least 2, for one token to follow another");
        }
        try {
            return TrainOptions.DEFAULTS.withMaxLength(maxLength).withMaxSteps(maxSteps).withBatchSize(batchSize)
                    .withLearningRate(learningRate).withWarmupSteps(warmupSteps).withSchedule(schedule).withWeightDecay(weightDecay)
                    .withSeed(seed).withSaveEvery(saveEvery);
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }
}
