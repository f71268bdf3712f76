package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.List;

/** An encoder that gives each token a label. */
public interface TokenClassifier extends Encoder {
    /** What the classes are called, by number. */
    List<String> labels();

    /** Logits {@code [B, T, labels]} of hidden states {@code [B, T, C]}. */
    Var logits(Var hidden, Pass pass);

    /**
     * The mean cross-entropy of the tokens' labels.
     *
     * @param labels I64 {@code [B, T]}, -100 at tokens that do not count
     */
    Var loss(EncoderInput input, Tensor labels, Pass pass);
}
