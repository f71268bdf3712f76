package dev.jotune.models.t5;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.Weights;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.seq2seq.EncoderDecoder;
import java.util.Set;

/**
 * A T5 configuration (Raffel et al., arXiv 1910.10683; the gated form is Shazeer's, arXiv 2002.05202).
 *
 * @param gated whether the feed-forward layer multiplies the activation with a second projection
 * @param activation of the feed-forward layer
 * @param tied whether the head is the embedding table
 * @param dropout of all that is dropped while training
 * @param scaleOutputs whether the head's input is multiplied by {@code d_model^-0.5}
 * @param decoderStartToken -1 if the configuration names none
 * @param padToken -1 if the configuration names none
 */
public record T5Config(int vocabSize, int dModel, int dKv, int dFf, int numLayers, int numDecoderLayers, int numHeads,
        int relativeAttentionNumBuckets, int relativeAttentionMaxDistance, double layerNormEpsilon, boolean gated,
        String activation, boolean tied, boolean scaleOutputs, int decoderStartToken, int padToken, double dropout) {

    /** Initialisation, and n_positions, which bounds nothing in a model of distances. */
    private static final Set<String> HARMLESS = Set.of("is_encoder_decoder", "n_positions", "output_past",
            "num_hidden_layers");

    /**
     * Reads the fields under their names in {@code config.json}, in the form of transformers 4 or 5.
     *
     * @param source tells whether the head has a weight of its own: transformers 5 calls every T5 tied
     */
    public static T5Config read(Config c, Weights.Source source) {
        String[] feedForward = c.text("feed_forward_proj", "relu").split("-");
        if (feedForward.length > 2 || feedForward.length == 2 && !feedForward[0].equals("gated")) {
            throw new ModelException(c.origin() + ": feed_forward_proj '" + c.text("feed_forward_proj", "")
                    + "' is not of the form ACTIVATION or gated-ACTIVATION.");
        }
        boolean gated = feedForward.length == 2;
        // gated-gelu has always meant the tanh form.
        String activation = c.text("feed_forward_proj", "relu").equals("gated-gelu") ? "gelu_new" : feedForward[feedForward.length - 1];
        boolean tie = c.flag("tie_word_embeddings", true);
        int layers = c.size("num_layers", 6);
        int buckets = c.size("relative_attention_num_buckets", 32);
        int farthest = c.size("relative_attention_max_distance", 128);
        if (buckets < 4 || farthest <= buckets / 2) {
            throw new ModelException(c.origin() + ": relative_attention_num_buckets " + buckets + " and relative_attention_max_distance "
                    + farthest + " leave no room. There must be at least 4 buckets, and a distance above half of them.");
        }
        T5Config out = new T5Config(c.size("vocab_size"), c.size("d_model"), c.size("d_kv", 64), c.size("d_ff", 2048), layers,
                c.size("num_decoder_layers", layers), c.size("num_heads", 8), buckets, farthest, c.number("layer_norm_epsilon", 1e-6),
                c.flag("is_gated_act", gated), c.text("dense_act_fn", activation), !source.contains("lm_head.weight"),
                c.flag("scale_decoder_outputs", tie), EncoderDecoder.token(c, "decoder_start_token_id", -1),
                EncoderDecoder.token(c, "pad_token_id", 0), DropoutRates.read(c, "dropout_rate", 0.1));
        c.finish(HARMLESS);
        return out;
    }

    EncoderDecoder.Outline outline() {
        return new EncoderDecoder.Outline("t5", vocabSize, dModel, numLayers, Integer.MAX_VALUE, decoderStartToken, padToken);
    }
}
