package dev.jotune.models.llama;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import java.util.Set;

/**
 * The shape of a Llama, as {@code config.json} gives it in the form of transformers 4 or 5.
 *
 * @param hiddenSize C
 * @param intermediateSize F
 * @param numHiddenLayers L
 * @param numAttentionHeads H
 * @param numKeyValueHeads G
 * @param headDim D
 * @param vocabSize V
 * @param maxPositionEmbeddings the context length
 */
public record LlamaConfig(int hiddenSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads,
        int numKeyValueHeads, int headDim, int vocabSize, int maxPositionEmbeddings, double rmsNormEps, String hiddenAct,
        boolean attentionBias, boolean mlpBias, boolean tieWordEmbeddings, RopeScaling rope) {

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static LlamaConfig read(Config c) {
        String type = c.text("model_type", "llama");
        if (!type.equals("llama")) {
            throw new ModelException(c.origin() + ": model_type '" + type + "' is not supported. Supported: llama.");
        }
        int hidden = c.size("hidden_size");
        int heads = c.size("num_attention_heads");
        int groups = c.size("num_key_value_heads", heads);
        int headDim = c.size("head_dim", hidden / heads);
        int context = c.size("max_position_embeddings", 2048);
        if (heads % groups != 0) {
            throw new ModelException(c.origin() + ": num_attention_heads " + heads + " is not a multiple of num_key_value_heads "
                    + groups + ".");
        }
        if (headDim % 2 != 0) {
            throw new ModelException(c.origin() + ": head_dim " + headDim + " is odd; rotary embedding needs pairs.");
        }
        LlamaConfig out = new LlamaConfig(hidden, c.size("intermediate_size"), c.size("num_hidden_layers"), heads, groups, headDim,
                c.size("vocab_size"), context, c.number("rms_norm_eps", 1e-6), c.text("hidden_act", "silu"),
                c.flag("attention_bias", false), c.flag("mlp_bias", false), c.flag("tie_word_embeddings", false),
                RopeScaling.read(c, headDim, context));
        c.finish(Set.of());
        return out;
    }
}
