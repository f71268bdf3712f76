package dev.jotune.models.clip;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Heads;
import dev.jotune.models.vit.ViTConfig;
import java.util.List;
import java.util.Set;

/**
 * The shape of a CLIP, as {@code config.json} gives it.
 *
 * @param projectionDim P, of the common space
 */
public record ClipConfig(Text text, Vision vision, int projectionDim) {
    /** What only another class of model reads, or only training from scratch. */
    private static final Set<String> HARMLESS = Set.of("projection_dim", "logit_scale_init_value", "tie_word_embeddings");

    /** What both towers have: C, F, L, H, how they compute, and what of the probabilities of attention they drop while training. */
    public record Tower(int hiddenSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads, double layerNormEps,
            String hiddenAct, double attentionDropout) {
        private static Tower read(Config c, int hidden, int heads) {
            Tower t = new Tower(c.size("hidden_size", hidden), c.size("intermediate_size", 4 * hidden), c.size("num_hidden_layers", 12),
                    c.size("num_attention_heads", heads), c.number("layer_norm_eps", 1e-5), Heads.activation(c, "hidden_act", "quick_gelu"),
                    DropoutRates.read(c, "attention_dropout", 0));
            if (t.hiddenSize % t.numAttentionHeads != 0) {
                throw new ModelException(c.origin() + ": hidden_size " + t.hiddenSize + " is not a multiple of num_attention_heads "
                        + t.numAttentionHeads + ".");
            }
            return t;
        }
    }

    /**
     * The tower of texts.
     *
     * @param eosTokenId the token that a text ends in; 2 stands for the largest id of the text, as in old checkpoints
     */
    public record Text(Tower tower, int vocabSize, int maxPositionEmbeddings, int eosTokenId) {
        /** @throws ModelException naming the field that is missing, malformed or not supported */
        public static Text read(Config c) {
            int[] eos = c.ids("eos_token_id");
            if (eos.length > 1) {
                throw new ModelException(c.origin() + ": 'eos_token_id' has " + eos.length + " numbers, expected one.");
            }
            Text t = new Text(Tower.read(c, 512, 8), c.size("vocab_size", 49408), c.size("max_position_embeddings", 77),
                    eos.length == 0 ? 49407 : eos[0]);
            c.finish(HARMLESS);
            return t;
        }
    }

    /** The tower of pictures. */
    public record Vision(Tower tower, int numChannels, List<Integer> imageSize, List<Integer> patchSize) {
        /** @throws ModelException naming the field that is missing, malformed or not supported */
        public static Vision read(Config c) {
            Vision v = new Vision(Tower.read(c, 768, 12), c.size("num_channels", 3), ViTConfig.pair(c, "image_size", 224),
                    ViTConfig.pair(c, "patch_size", 32));
            c.finish(HARMLESS);
            return v;
        }
    }

    /**
     * Where an old file has {@code text_config_dict} or {@code vision_config_dict}, that one counts, with the defaults
     * of what it leaves out; so transformers reads it.
     *
     * @throws ModelException naming the field that is missing, malformed or not supported
     */
    public static ClipConfig read(Config c) {
        ClipConfig out = new ClipConfig(Text.read(tower(c, "text_config")), Vision.read(tower(c, "vision_config")),
                c.size("projection_dim", 512));
        c.finish(HARMLESS);
        return out;
    }

    private static Config tower(Config c, String field) {
        Config plain = c.child(field);
        return c.has(field + "_dict") ? c.child(field + "_dict") : plain;
    }
}
