package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Softmax;
import dev.jotune.models.seam.Pass;
import java.util.List;
import java.util.Optional;

/** A model that gives a text, a picture or a sound one of several labels, some of them, or numbers. */
public interface Classifier extends Backbone {
    /** What the classes are called, by number. */
    List<String> labels();

    /** What the configuration says of the labels' kind; without it the kind of the labels decides. */
    Optional<ProblemType> problemType();

    /** Logits {@code [B, labels]} of what the model's forward gave. */
    Var logits(Hidden hidden, Pass pass);

    /** How likely each label is, given its logits {@code [B, labels]}; of regression the numbers themselves. */
    default Var probabilities(Var logits) {
        ProblemType one = labels().size() == 1 ? ProblemType.REGRESSION : ProblemType.SINGLE_LABEL_CLASSIFICATION;
        return switch (problemType().orElse(one)) {
            case SINGLE_LABEL_CLASSIFICATION -> Softmax.softmax(logits);
            case MULTI_LABEL_CLASSIFICATION -> Activations.sigmoid(logits);
            case REGRESSION -> logits;
        };
    }
}
