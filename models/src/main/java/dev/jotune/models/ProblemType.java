package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.Losses;
import dev.jotune.tensor.Tensor;
import java.util.Locale;
import java.util.Optional;

/** What a classifier's labels mean: {@code problem_type} of {@code config.json}. */
public enum ProblemType {
    /** One class a row: softmax cross-entropy. */
    SINGLE_LABEL_CLASSIFICATION,
    /** Any number of classes a row: binary cross-entropy of each, mean over all. */
    MULTI_LABEL_CLASSIFICATION,
    /** Numbers: mean squared error. */
    REGRESSION;

    /**
     * The configuration's, if it names one.
     *
     * @throws ModelException for a name that is not known
     */
    public static Optional<ProblemType> read(Config c) {
        String name = c.text("problem_type", "");
        if (name.isEmpty()) {
            return Optional.empty();
        }
        for (ProblemType t : values()) {
            if (t.name().toLowerCase(Locale.ROOT).equals(name)) {
                return Optional.of(t);
            }
        }
        throw new ModelException(c.origin() + ": 'problem_type' is \"" + name + "\", expected single_label_classification, "
                + "multi_label_classification or regression.");
    }

    /** As transformers chooses: one label is regression, integers are classes, other numbers are several labels. */
    public static ProblemType of(Tensor labels, int classes) {
        return classes == 1 ? REGRESSION : labels.dtype().isFloating() ? MULTI_LABEL_CLASSIFICATION : SINGLE_LABEL_CLASSIFICATION;
    }

    /**
     * The mean loss of a classifier.
     *
     * @param logits {@code [B, labels]}
     * @param labels classes, I64 {@code [B]} with -100 for rows that do not count; or for several labels and for
     *     regression numbers {@code [B, labels]} (regression on one label: {@code [B]} too)
     * @throws IllegalArgumentException if the labels do not fit the logits
     */
    public Var loss(Var logits, Tensor labels) {
        return switch (this) {
            case SINGLE_LABEL_CLASSIFICATION -> CrossEntropy.apply(logits, labels.reshape(labels.numel()).to(logits.backend()));
            case MULTI_LABEL_CLASSIFICATION -> Losses.bceWithLogits(logits, numbers(labels, logits), 1);
            case REGRESSION -> Losses.mse(logits, numbers(labels, logits));
        };
    }

    private static Var numbers(Tensor labels, Var logits) {
        if (labels.numel() != logits.tensor().numel()) {
            throw new IllegalArgumentException("labels " + labels + " do not fit logits " + logits.tensor()
                    + ". Give one number for each label of each row.");
        }
        return Var.constant(labels.to(logits.backend()).to(logits.dtype()).reshape(logits.shape()));
    }
}
