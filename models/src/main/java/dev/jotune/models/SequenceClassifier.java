package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.List;

/** An encoder that gives a text one of several labels, some of them, or numbers. */
public interface SequenceClassifier extends Encoder, Classifier {
    /** Modules whose weights the checkpoint lacked: they began at random, so an adapter has to save them. */
    List<String> freshModules();

    /** Logits {@code [B, labels]} of the first token: with prompt tuning that is the first virtual one, as in PEFT. */
    @Override
    Var logits(Hidden hidden, Pass pass);

    /** As {@link #loss(EncoderInput, Tensor, ProblemType, Pass)}, the kind chosen as transformers chooses it. */
    default Var loss(EncoderInput input, Tensor labels, Pass pass) {
        return loss(input, labels, problemType().orElseGet(() -> ProblemType.of(labels, labels().size())), pass);
    }

    /**
     * The mean loss.
     *
     * @param labels as {@link ProblemType#loss} reads them
     */
    default Var loss(EncoderInput input, Tensor labels, ProblemType type, Pass pass) {
        return type.loss(logits(forward(input, pass), pass), labels);
    }
}
