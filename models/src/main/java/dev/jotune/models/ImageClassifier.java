package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.List;

/** A model that says what a picture shows. */
public interface ImageClassifier extends ImageModel {
    /** The names of the classes, by number. */
    List<String> labels();

    /** Logits {@code [B, labels]} of what {@link #forward} gave. */
    Var logits(Hidden hidden, Pass pass);

    /**
     * The mean loss.
     *
     * @param labels as {@link ProblemType#loss} reads them
     */
    Var loss(ImageInput input, Tensor labels, Pass pass);
}
