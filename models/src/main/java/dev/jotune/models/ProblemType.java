package dev.jotune.models;

import dev.jotune.tensor.Tensor;
import java.util.Locale;
import java.util.Optional;

/** What a classifier's labels mean: {@code problem_type} of {@code config.json}. */
public enum ProblemType {
    /** One class a text: softmax cross-entropy. */
    SINGLE_LABEL_CLASSIFICATION,
    /** Any number of classes a text: binary cross-entropy of each, mean over all. */
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
}
