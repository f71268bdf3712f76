package dev.jotune.models.ast;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Heads;
import dev.jotune.models.head.Labels;
import dev.jotune.models.vit.ViTConfig;
import java.util.List;
import java.util.Set;

/**
 * The shape of an Audio Spectrogram Transformer, as {@code config.json} gives it.
 *
 * @param hiddenSize C
 * @param intermediateSize F
 * @param numHiddenLayers L
 * @param numAttentionHeads H
 * @param patchSize mel bands and frames of a patch
 * @param frequencyStride bands from a patch to the next
 * @param timeStride frames from a patch to the next
 * @param maxLength frames of a spectrogram
 * @param numMelBins bands of a spectrogram
 * @param dropout while training
 */
public record AstConfig(int hiddenSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads, List<Integer> patchSize,
        int frequencyStride, int timeStride, int maxLength, int numMelBins, double layerNormEps, String hiddenAct, boolean qkvBias,
        DropoutRates dropout, Labels labels) {

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static AstConfig read(Config c) {
        int hidden = c.size("hidden_size", 768);
        int heads = c.size("num_attention_heads", 12);
        if (hidden % heads != 0) {
            throw new ModelException(c.origin() + ": hidden_size " + hidden + " is not a multiple of num_attention_heads " + heads + ".");
        }
        AstConfig a = new AstConfig(hidden, c.size("intermediate_size", 3072), c.size("num_hidden_layers", 12), heads,
                ViTConfig.pair(c, "patch_size", 16), c.size("frequency_stride", 10), c.size("time_stride", 10), c.size("max_length", 1024),
                c.size("num_mel_bins", 128), c.number("layer_norm_eps", 1e-12), Heads.activation(c, "hidden_act", "gelu"),
                c.flag("qkv_bias", true), DropoutRates.ofVision(c), Labels.read(c));
        c.finish(Set.of("tie_word_embeddings"));
        return a;
    }
}
