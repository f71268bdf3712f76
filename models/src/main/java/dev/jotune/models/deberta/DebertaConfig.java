package dev.jotune.models.deberta;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.bert.BlockShape;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Heads;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * The shape of a DeBERTa-v2.
 *
 * @param hiddenSize C
 * @param embeddingSize features of the embedding tables
 * @param intermediateSize F
 * @param numHiddenLayers L
 * @param numAttentionHeads H
 * @param headDim D
 * @param vocabSize V
 * @param maxPositionEmbeddings the context length
 * @param typeVocabSize rows of the table of token types; 0: there is none
 * @param positionBiasedInput whether absolute positions are added to the input
 * @param contentToPosition whether queries meet relative positions
 * @param positionToContent whether keys do
 * @param shareAttKey whether relative positions pass through the content's own projections
 * @param normRelative whether the table of relative positions is normalised
 * @param attentionDropout of the probabilities of attention, while training
 * @param legacy whether the masked head is BERT's
 */
record DebertaConfig(int hiddenSize, int embeddingSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads, int headDim,
        int vocabSize, int maxPositionEmbeddings, int typeVocabSize, int padTokenId, boolean positionBiasedInput, boolean relative,
        boolean contentToPosition, boolean positionToContent, boolean shareAttKey, boolean normRelative, RelativePositions positions,
        double layerNormEps, String hiddenAct, String poolerAct, double hiddenDropout, double attentionDropout, double poolerDropout,
        double classifierDropout, boolean tieWordEmbeddings, boolean legacy) {

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    static DebertaConfig read(Config c) {
        int hidden = c.size("hidden_size");
        int heads = c.size("num_attention_heads");
        if (hidden % heads != 0) {
            throw new ModelException(c.origin() + ": the hidden size " + hidden + " is not a multiple of num_attention_heads " + heads + ".");
        }
        int context = c.size("max_position_embeddings", 512);
        refuse(c, "conv_kernel_size", "a convolution after the first block");
        int poolerSize = c.size("pooler_hidden_size", hidden);
        if (poolerSize != hidden) {
            throw new ModelException(c.origin() + ": pooler_hidden_size " + poolerSize + " is not the hidden size " + hidden + ".");
        }
        boolean relative = c.flag("relative_attention", false);
        List<String> kinds = kinds(c);
        int buckets = c.integer("position_buckets", -1);
        int most = c.integer("max_relative_positions", -1);
        most = most < 1 ? context : most;
        double dropout = DropoutRates.read(c, "hidden_dropout_prob", 0.1);
        List<String> norms = List.of(c.text("norm_rel_ebd", "none").toLowerCase(Locale.ROOT).split("\\s*\\|\\s*"));
        DebertaConfig config = new DebertaConfig(hidden, c.size("embedding_size", hidden), c.size("intermediate_size"),
                c.size("num_hidden_layers"), heads, c.size("attention_head_size", hidden / heads), c.size("vocab_size"), context,
                c.integer("type_vocab_size", 0), c.integer("pad_token_id", 0), c.flag("position_biased_input", true), relative,
                kinds.contains("c2p"), kinds.contains("p2c"), c.flag("share_att_key", false), norms.contains("layer_norm"),
                new RelativePositions(buckets > 0 ? buckets : most, Math.max(0, buckets), most), c.number("layer_norm_eps", 1e-7),
                Heads.activation(c, "hidden_act", "gelu"), Heads.activation(c, "pooler_hidden_act", "gelu"), dropout,
                DropoutRates.read(c, "attention_probs_dropout_prob", 0.1), DropoutRates.read(c, "pooler_dropout", 0),
                DropoutRates.read(c, "cls_dropout", dropout), c.flag("tie_word_embeddings", true), c.flag("legacy", true));
        c.finish(Set.of("padding_idx", "conv_act", "conv_groups"));
        return config;
    }

    private static void refuse(Config c, String field, String what) {
        if (c.number(field, 0) > 0) {
            throw new ModelException(c.origin() + ": '" + field + "' asks for " + what + ", which is not supported.");
        }
    }

    /** {@code pos_att_type} is a list, or a text such as {@code p2c|c2p}. */
    private static List<String> kinds(Config c) {
        List<String> kinds = c.isText("pos_att_type") ? Arrays.asList(c.text("pos_att_type", "").split("\\s*\\|\\s*")) : c.texts("pos_att_type");
        kinds.forEach(k -> {
            if (!k.equals("c2p") && !k.equals("p2c")) {
                throw new ModelException(c.origin() + ": pos_att_type '" + k + "' is not supported. Supported: c2p, p2c.");
            }
        });
        return kinds;
    }

    BlockShape block() {
        return new BlockShape(hiddenSize, intermediateSize, numAttentionHeads, headDim, hiddenAct, layerNormEps,
                new BlockShape.Dropped(attentionDropout, hiddenDropout, hiddenDropout));
    }

    /** How many terms the scores are the sum of. */
    int scaleFactor() {
        return 1 + (contentToPosition ? 1 : 0) + (positionToContent ? 1 : 0);
    }
}
