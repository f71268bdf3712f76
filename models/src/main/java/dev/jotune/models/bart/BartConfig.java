package dev.jotune.models.bart;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.Weights;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.seq2seq.EncoderDecoder;
import java.util.Set;

/**
 * A BART configuration (Lewis et al., arXiv 1910.13461).
 *
 * @param scaleEmbedding whether embeddings of tokens are multiplied by {@code sqrt(d_model)}
 * @param maxPositionEmbeddings of the encoder and of the decoder
 * @param tied whether the head is the embedding table
 * @param dropout while training
 */
public record BartConfig(int vocabSize, int dModel, int encoderLayers, int encoderAttentionHeads, int encoderFfnDim,
        int decoderLayers, int decoderAttentionHeads, int decoderFfnDim, String activationFunction, boolean scaleEmbedding,
        int maxPositionEmbeddings, boolean tied, int decoderStartToken, int padToken, DropoutRates dropout) {

    /** Settings of generation and of training, and what transformers has ceased to read. */
    private static final Set<String> HARMLESS = Set.of("is_encoder_decoder", "classif_dropout",
            "decoder_layerdrop", "encoder_layerdrop", "init_std", "num_hidden_layers", "_num_labels", "replacing_rate", "output_past",
            "force_bos_token_to_be_generated", "student_decoder_layers", "student_encoder_layers");

    /**
     * Reads the fields under their names in {@code config.json}.
     *
     * @param source tells whether the head has a weight of its own
     */
    public static BartConfig read(Config c, Weights.Source source) {
        if (!c.flag("normalize_embedding", true)) {
            throw new ModelException(c.origin() + ": normalize_embedding false is not supported. Jotune normalises embeddings, "
                    + "as transformers does.");
        }
        BartConfig out = new BartConfig(c.size("vocab_size"), c.size("d_model"), c.size("encoder_layers"), c.size("encoder_attention_heads"),
                c.size("encoder_ffn_dim"), c.size("decoder_layers"), c.size("decoder_attention_heads"), c.size("decoder_ffn_dim"),
                c.text("activation_function", "gelu"), c.flag("scale_embedding", false), c.size("max_position_embeddings", 1024),
                c.flag("tie_word_embeddings", true) && !source.contains("lm_head.weight"),
                EncoderDecoder.token(c, "decoder_start_token_id", 2), EncoderDecoder.token(c, "pad_token_id", 1), DropoutRates.ofBart(c, 0.1));
        c.finish(HARMLESS);
        return out;
    }

    EncoderDecoder.Outline outline() {
        return new EncoderDecoder.Outline("bart", vocabSize, dModel, encoderLayers, maxPositionEmbeddings, decoderStartToken, padToken);
    }

    BartStack.Options encoder() {
        return new BartStack.Options("model.encoder", "encoder", false, encoderLayers, encoderAttentionHeads, dModel, encoderFfnDim,
                activationFunction, false, true, dropout);
    }

    BartStack.Options decoder() {
        return new BartStack.Options("model.decoder", "decoder", true, decoderLayers, decoderAttentionHeads, dModel, decoderFfnDim,
                activationFunction, false, true, dropout);
    }
}
