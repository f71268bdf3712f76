package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.EmbeddingSite;
import dev.jotune.models.seam.Pass;
import dev.jotune.tensor.Tensor;
import java.util.Optional;

/** A decoder-only language model, as tuning methods, training and generation see it. */
public interface CausalLm extends Backbone {
    int vocabularySize();

    /** Where the text is embedded. */
    default EmbeddingSite input() {
        return seams().input();
    }

    /**
     * The final, normalised hidden states {@code [B, n + T, C]}: n virtual tokens (the most of any row; rows with fewer
     * begin with padding) and the text.
     *
     * @param cache appended to, if present; nothing is then recorded for derivatives
     */
    Hidden forward(DecoderInput input, Pass pass, Optional<DecoderCache> cache);

    /** Next-token logits {@code [B, T, V]} of hidden states {@code [B, T, C]}. */
    Var logits(Var hidden, Pass pass);

    /**
     * The mean cross-entropy of each label given the tokens before it, as transformers computes it: labels
     * {@code [B, T]} are ids, or -100 where nothing is to be learnt. Virtual tokens carry no label; the last one
     * predicts the text's first token. Never stores the logits of the whole batch.
     */
    Var loss(DecoderInput input, Tensor labels, Pass pass);

    /**
     * Whether the logits after a token are the same whatever else is read in the pass: tokens after it, or longer texts
     * beside it, for which it is padded on its left.
     */
    default boolean readsIndependently() {
        return true;
    }

    /**
     * Steps of one token for the one row of a cache, as long as the model is as it is under {@code pass}; empty where
     * only the general pass will do.
     *
     * @param cache of this model, one row
     */
    default Optional<TokenSteps> steps(Pass pass, DecoderCache cache) {
        return Optional.empty();
    }

    /** A cache for {@code batch} rows, made of this model's own kind. */
    DecoderCache newCache(long batch, long capacity);
}
