package dev.jotune.models.whisper;

import dev.jotune.models.Config;
import dev.jotune.models.Weights;
import dev.jotune.models.bart.BartStack;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.seq2seq.EncoderDecoder;
import java.util.Set;

/**
 * A Whisper configuration (Radford et al., arXiv 2212.04356).
 *
 * @param numMelBins features of a frame
 * @param maxSourcePositions states of the encoder: half of the frames that it reads
 * @param maxTargetPositions tokens of the decoder
 * @param tied whether the head is the embedding table
 * @param dropout while training
 */
public record WhisperConfig(int vocabSize, int dModel, int numMelBins, int encoderLayers, int encoderAttentionHeads, int encoderFfnDim,
        int decoderLayers, int decoderAttentionHeads, int decoderFfnDim, String activationFunction, int maxSourcePositions,
        int maxTargetPositions, boolean tied, int decoderStartToken, int padToken, DropoutRates dropout) {

    /** Masking of features while training, timestamps, the audio classifier; scale_embedding is read by nobody. */
    private static final Set<String> HARMLESS = Set.of("is_encoder_decoder", "decoder_layerdrop",
            "encoder_layerdrop", "init_std", "num_hidden_layers", "scale_embedding", "apply_spec_augment", "mask_feature_length",
            "mask_feature_min_masks", "mask_feature_prob", "mask_time_length", "mask_time_min_masks", "mask_time_prob",
            "median_filter_width", "classifier_proj_size", "use_weighted_layer_sum");

    /**
     * Reads the fields under their names in {@code config.json}.
     *
     * @param source tells whether the head has a weight of its own
     */
    public static WhisperConfig read(Config c, Weights.Source source) {
        WhisperConfig out = new WhisperConfig(c.size("vocab_size"), c.size("d_model"), c.size("num_mel_bins", 80), c.size("encoder_layers"),
                c.size("encoder_attention_heads"), c.size("encoder_ffn_dim"), c.size("decoder_layers"), c.size("decoder_attention_heads"),
                c.size("decoder_ffn_dim"), c.text("activation_function", "gelu"), c.size("max_source_positions", 1500),
                c.size("max_target_positions", 448), c.flag("tie_word_embeddings", true) && !source.contains("proj_out.weight"),
                EncoderDecoder.token(c, "decoder_start_token_id", 50257), EncoderDecoder.token(c, "pad_token_id", 50256), DropoutRates.ofBart(c, 0));
        c.finish(HARMLESS);
        return out;
    }

    EncoderDecoder.Outline outline() {
        return new EncoderDecoder.Outline("whisper", vocabSize, dModel, encoderLayers, maxTargetPositions, decoderStartToken, padToken);
    }

    BartStack.Options encoder() {
        return new BartStack.Options("model.encoder", "encoder", false, encoderLayers, encoderAttentionHeads, dModel, encoderFfnDim,
                activationFunction, true, false, dropout);
    }

    BartStack.Options decoder() {
        return new BartStack.Options("model.decoder", "decoder", true, decoderLayers, decoderAttentionHeads, dModel, decoderFfnDim,
                activationFunction, true, false, dropout);
    }
}
