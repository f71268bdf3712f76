package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy;
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
     * predicts the text's first token, unless it has read it. Never stores the logits of the whole batch.
     */
    Var loss(DecoderInput input, Tensor labels, Pass pass);

    /**
     * {@code -log p} of each label {@code [M]} given the state before it, {@code states [M, C]}; 0 at -100.
     *
     * @return {@code [M]}
     */
    default Var losses(Var states, Tensor labels, Pass pass) {
        Var logits = logits(states.reshape(1, states.size(0), states.size(1)), pass);
        return CrossEntropy.apply(logits.reshape(states.size(0), -1), labels, CrossEntropy.Options.NONE);
    }

    /** Whether {@link DecoderInput#branches} may be given and are read as the same texts in rows of their own. */
    default boolean readsBranches() {
        return false;
    }

    /**
     * Whether the logits after a token are the same whatever else is read in the pass: tokens after it, or longer texts
     * beside it, for which it is padded on its left.
     */
    default boolean readsIndependently() {
        return true;
    }

    /**
     * Steps of one token for each row of a cache, as long as the model is as it is under {@code pass} and there are so many rows;
     * empty where only the general pass will do. Why that is goes to the system's logger {@code dev.jotune.steps}.
     *
     * @param cache of this model
     */
    default Optional<TokenSteps> steps(Pass pass, DecoderCache cache) {
        return Optional.empty();
    }

    /** A cache for {@code batch} rows, made of this model's own kind. */
    DecoderCache newCache(long batch, long capacity);
}
