package dev.jotune.models.decoder;

import dev.jotune.models.head.DropoutRates;
import java.util.List;
import java.util.Optional;

/**
 * One decoder assembled from options: what {@code config.json} and the family's own habits come to.
 *
 * @param modelType the family
 * @param hiddenSize C
 * @param intermediateSize F
 * @param numHiddenLayers L
 * @param numAttentionHeads H
 * @param numKeyValueHeads G
 * @param headDim D
 * @param vocabSize V
 * @param maxPositionEmbeddings the context length
 * @param hiddenAct what the gate passes through
 * @param attentionBias whether queries, keys and values have biases
 * @param outputBias whether the attention's output has one
 * @param norms where the norms of a block stand
 * @param unitNorms whether norms multiply with {@code 1 + weight} (Gemma)
 * @param queryKeyNorm what of queries and keys is normalised before rotation
 * @param fusedProjections whether the checkpoint has {@code qkv_proj} and {@code gate_up_proj}
 * @param attentionScale factor of the scores
 * @param attentionSoftcap c of {@code c tanh(score / c)}; 0: none
 * @param logitSoftcap the same for logits
 * @param embeddingScale factor of looked-up embeddings
 * @param windows for each layer how many keys a query sees, its own included; 0: all
 * @param ropes for each layer its rotary angles
 * @param experts of a mixture of experts
 * @param dropout while training: of attention's probabilities, and of what a block adds
 */
public record DecoderConfig(String modelType, int hiddenSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads,
        int numKeyValueHeads, int headDim, int vocabSize, int maxPositionEmbeddings, double rmsNormEps, String hiddenAct,
        boolean attentionBias, boolean outputBias, boolean mlpBias, boolean tieWordEmbeddings, NormPlacement norms, boolean unitNorms,
        QueryKeyNorm queryKeyNorm, boolean fusedProjections, double attentionScale, double attentionSoftcap, double logitSoftcap,
        double embeddingScale, List<Integer> windows, List<Rope> ropes, Optional<ExpertConfig> experts, DropoutRates dropout) {

    /** Where the norms of a block stand; a is attention or MLP. */
    public enum NormPlacement {
        /** {@code h + a(norm(h))}. */
        BEFORE,
        /** {@code h + norm(a(h))} (OLMo 2). */
        AFTER,
        /** {@code h + norm(a(norm(h)))} (Gemma). */
        AROUND
    }

    /** What of queries and keys is normalised. */
    public enum QueryKeyNorm {
        NONE,
        /** Each head of D features. */
        HEAD,
        /** The whole projection. */
        PROJECTION
    }

    /** Whether layer {@code i} has experts. */
    public boolean isSparse(int i) {
        return experts.isPresent() && experts.get().sparse().get(i);
    }
}
