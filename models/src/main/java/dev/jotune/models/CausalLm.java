package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/** A decoder-only language model, as tuning methods, training and generation see it. */
public interface CausalLm {
    /** Where methods plug in. */
    Seams seams();

    /** The {@code model_type} of its configuration. */
    String modelType();

    int vocabularySize();

    /** C. */
    int hiddenSize();

    /** L. */
    int layers();

    /** The most positions it was made for, virtual ones included. */
    int contextLength();

    Backend backend();

    /** F32, or F64 for checking on the reference backend. */
    DType computeType();

    /**
     * The final, normalised hidden states {@code [B, n + T, C]}: n virtual tokens (the most of any row; rows with fewer
     * begin with padding) and the text.
     *
     * @param cache appended to, if present; recording must then be off
     */
    Hidden forward(DecoderInput input, Pass pass, Optional<KvCache> cache);

    /**
     * @param states {@code [B, n + T, C]}
     * @param virtualTokens n
     */
    record Hidden(Var states, long virtualTokens) {
        /** Only the text's positions, {@code [B, T, C]}. */
        public Var text() {
            return states.slice(1, virtualTokens, states.size(1));
        }
    }

    /** Next-token logits {@code [B, T, V]} of hidden states {@code [B, T, C]}. */
    Var logits(Var hidden, Pass pass);

    /**
     * The mean cross-entropy of each label given the tokens before it, as transformers computes it: labels
     * {@code [B, T]} are ids, or -100 where nothing is to be learnt. Virtual tokens carry no label; the last one
     * predicts the text's first token. Never stores the logits of the whole batch.
     */
    Var loss(DecoderInput input, Tensor labels, Pass pass);

    /** Recomputes each block in the backward pass instead of storing its activations: memory for one more forward. */
    CausalLm withCheckpointing(boolean on);

    /** A cache for {@code batch} rows. */
    default KvCache newCache(long batch, long capacity) {
        return new KvCache(backend(), computeType(), seams().attentions(), batch, capacity);
    }
}
