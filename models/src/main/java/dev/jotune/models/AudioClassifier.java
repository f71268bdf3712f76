package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;

/** A model that says what a sound is. */
public interface AudioClassifier extends AudioModel, Classifier {
    /**
     * The mean loss, of the configuration's kind or else the one that the labels' kind asks for.
     *
     * @param labels as {@link ProblemType#loss} reads them
     */
    default Var loss(Var spectrogram, Tensor labels, Pass pass) {
        ProblemType type = problemType().orElseGet(() -> ProblemType.of(labels, labels().size()));
        return type.loss(logits(forward(spectrogram, pass), pass), labels);
    }
}
