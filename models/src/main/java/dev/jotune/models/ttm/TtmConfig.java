package dev.jotune.models.ttm;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import java.util.Set;

/**
 * The shape of a Tiny Time Mixer, as {@code config.json} gives it.
 *
 * @param contextLength steps that are read
 * @param patchLength steps of a patch
 * @param numPatches P
 * @param dModel C, features of a patch in the encoder
 * @param adaptivePatchingLevels levels of the encoder; 0: plain layers
 * @param numLayers layers of each level, or in all
 * @param useDecoder whether a decoder stands between encoder and head
 * @param decoderDModel features of a patch in the decoder
 * @param expansionFactor width of an MLP's middle, in widths of its ends
 * @param gatedAttn whether features are weighted by a softmax of themselves
 * @param predictionLength steps that the head gives
 * @param horizon steps of them that are used
 * @param absoluteLoss the training loss is the mean absolute error instead of the mean square
 */
public record TtmConfig(int contextLength, int patchLength, int patchStride, int numPatches, int dModel, int adaptivePatchingLevels,
        int numLayers, boolean useDecoder, int decoderDModel, int decoderAdaptivePatchingLevels, int decoderNumLayers,
        int expansionFactor, boolean gatedAttn, boolean usePositionalEncoding, double normEps, int predictionLength,
        int horizon, boolean absoluteLoss) {
    /** How weights were drawn, what training did, and settings of parts that are refused where they are switched on. */
    private static final Set<String> HARMLESS = Set.of("d_model_scale", "decoder_d_model_scale", "stride_ratio", "init_std", "init_linear",
            "init_embed", "init_processing", "post_init", "patch_last", "positional_encoding_type", "self_attn_heads",
            "frequency_token_vocab_size", "num_input_channels", "head_dropout", "distribution_output", "num_parallel_samples",
            "fcm_gated_attn", "fcm_context_length", "fcm_use_mixer", "fcm_mix_layers", "fcm_prepend_past", "quantile", "huber_delta",
            "mask_value");

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static TtmConfig read(Config c) {
        off(c, "resolution_prefix_tuning");
        off(c, "self_attn");
        off(c, "decoder_raw_residual");
        off(c, "enable_forecast_channel_mixing");
        only(c, "mode", "common_channel");
        only(c, "decoder_mode", "common_channel");
        only(c, "norm_mlp", "LayerNorm");
        int context = c.size("context_length");
        int length = c.size("patch_length");
        int stride = c.size("patch_stride", length);
        int patches = context < length ? 0 : (context - length) / stride + 1;
        if (c.size("num_patches", patches) != patches) {
            throw new ModelException(c.origin() + ": num_patches " + c.size("num_patches") + " does not follow from context_length "
                    + context + ", patch_length " + length + " and patch_stride " + stride + ", which make " + patches + ".");
        }
        // true has always meant the same as "std".
        if (c.isText("scaling") ? !c.text("scaling", "").equals("std") : !c.flag("scaling", true)) {
            throw new ModelException(c.origin() + ": only scaling \"std\" is supported.");
        }
        String loss = c.text("loss", "mse");
        if (!loss.equals("mse") && !loss.equals("mae")) {
            throw new ModelException(c.origin() + ": loss '" + loss + "' is not supported. Supported: mse, mae.");
        }
        int prediction = c.size("prediction_length");
        int dModel = c.size("d_model");
        TtmConfig out = new TtmConfig(context, length, stride, patches, dModel, levels(c, "adaptive_patching_levels", dModel),
                c.size("num_layers"), c.flag("use_decoder", true), c.size("decoder_d_model", dModel),
                levels(c, "decoder_adaptive_patching_levels", c.size("decoder_d_model", dModel)),
                c.size("decoder_num_layers", 1), c.size("expansion_factor", 2), c.flag("gated_attn", true),
                c.flag("use_positional_encoding", false), c.number("norm_eps", 1e-5), prediction,
                Math.min(prediction, c.size("prediction_filter_length", prediction)), loss.equals("mae"));
        c.finish(HARMLESS);
        return out;
    }

    private static void off(Config c, String field) {
        if (c.flag(field, false)) {
            throw new ModelException(c.origin() + ": " + field + " is true, which is not supported. Supported: false.");
        }
    }

    private static void only(Config c, String field, String value) {
        if (!c.text(field, value).equals(value)) {
            throw new ModelException(c.origin() + ": " + field + " '" + c.text(field, value) + "' is not supported. Supported: " + value + ".");
        }
    }

    private static int levels(Config c, String field, int width) {
        int levels = c.integer(field, 0);
        if (levels < 0 || levels > 20 || levels > 0 && width % (1 << levels - 1) != 0) {
            throw new ModelException(c.origin() + ": " + field + " is " + levels + ". It must be 0 or positive, and " + width
                    + " features must divide by 2 to the power of one less.");
        }
        return levels;
    }
}
