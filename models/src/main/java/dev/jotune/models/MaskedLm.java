package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;

/** An encoder that says which token stands at each place. */
public interface MaskedLm extends Encoder {
    int vocabularySize();

    /** Logits {@code [B, T, V]} of hidden states {@code [B, T, C]}. */
    Var logits(Var hidden, Pass pass);

    /**
     * The mean cross-entropy of the labels at their own positions (no shift), as transformers computes it.
     *
     * @param labels I64 {@code [B, T]}: ids, or -100 where nothing is to be learnt
     */
    Var loss(EncoderInput input, Tensor labels, Pass pass);
}
