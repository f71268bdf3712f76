package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Losses;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/** An encoder that gives a text one of several labels, some of them, or numbers. */
public interface SequenceClassifier extends Encoder {
    /** What the classes are called, by number. */
    List<String> labels();

    /** What the configuration says of the labels' kind; without it the kind of the labels decides. */
    Optional<ProblemType> problemType();

    /** Modules whose weights the checkpoint lacked: they began at random, so an adapter has to save them. */
    List<String> freshModules();

    /** Logits {@code [B, labels]} of the first token: with prompt tuning that is the first virtual one, as in PEFT. */
    Var logits(Hidden hidden, Pass pass);

    /** As {@link #loss(EncoderInput, Tensor, ProblemType, Pass)}, the kind chosen as transformers chooses it. */
    default Var loss(EncoderInput input, Tensor labels, Pass pass) {
        return loss(input, labels, problemType().orElseGet(() -> ProblemType.of(labels, labels().size())), pass);
    }

    /**
     * The mean loss.
     *
     * @param labels classes, I64 {@code [B]} with -100 for rows that do not count; or for several labels and for
     *     regression numbers {@code [B, labels]} (regression on one label: {@code [B]} too)
     */
    default Var loss(EncoderInput input, Tensor labels, ProblemType type, Pass pass) {
        Var logits = logits(forward(input, pass), pass);
        return switch (type) {
            case SINGLE_LABEL_CLASSIFICATION -> CrossEntropy.apply(logits, labels.reshape(labels.numel()).to(backend()));
            case MULTI_LABEL_CLASSIFICATION -> Losses.bceWithLogits(logits, numbers(labels, logits), 1);
            case REGRESSION -> Losses.mse(logits, numbers(labels, logits));
        };
    }

    private Var numbers(Tensor labels, Var logits) {
        if (labels.numel() != logits.tensor().numel()) {
            throw new IllegalArgumentException("labels " + labels + " do not fit logits " + logits.tensor()
                    + ". Give one number for each label of each row.");
        }
        return Var.constant(labels.to(backend()).to(computeType()).reshape(logits.shape()));
    }
}
