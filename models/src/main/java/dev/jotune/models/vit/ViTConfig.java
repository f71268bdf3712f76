package dev.jotune.models.vit;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.head.DropoutRates;
import dev.jotune.models.head.Heads;
import dev.jotune.models.head.Labels;
import java.util.List;
import java.util.Set;

/**
 * The shape of a Vision Transformer, as {@code config.json} gives it.
 *
 * @param hiddenSize C
 * @param intermediateSize F
 * @param numHiddenLayers L
 * @param numAttentionHeads H
 * @param imageSize height and width of the pictures it was trained on
 * @param patchSize height and width of a patch
 * @param qkvBias whether query, key and value have biases
 * @param dropout while training
 * @param poolerOutputSize features of the pooler, where the checkpoint has one
 */
public record ViTConfig(int hiddenSize, int intermediateSize, int numHiddenLayers, int numAttentionHeads, int numChannels,
        List<Integer> imageSize, List<Integer> patchSize, double layerNormEps, String hiddenAct, boolean qkvBias, DropoutRates dropout,
        int poolerOutputSize, String poolerAct, Labels labels) {

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static ViTConfig read(Config c) {
        int hidden = c.size("hidden_size", 768);
        int heads = c.size("num_attention_heads", 12);
        if (hidden % heads != 0) {
            throw new ModelException(c.origin() + ": hidden_size " + hidden + " is not a multiple of num_attention_heads " + heads + ".");
        }
        ViTConfig v = new ViTConfig(hidden, c.size("intermediate_size", 3072), c.size("num_hidden_layers", 12), heads,
                c.size("num_channels", 3), pair(c, "image_size", 224), pair(c, "patch_size", 16), c.number("layer_norm_eps", 1e-12),
                Heads.activation(c, "hidden_act", "gelu"), c.flag("qkv_bias", true), DropoutRates.ofVision(c),
                c.size("pooler_output_size", hidden), Heads.activation(c, "pooler_act", "tanh"), Labels.read(c));
        c.finish(Set.of("encoder_stride", "tie_word_embeddings"));
        return v;
    }

    /**
     * A number for both edges, or height and width.
     *
     * @throws ModelException if it is neither, or not positive
     */
    public static List<Integer> pair(Config c, String field, int otherwise) {
        int[] v = c.ids(field);
        List<Integer> out = switch (v.length) {
            case 0 -> List.of(otherwise, otherwise);
            case 1 -> List.of(v[0], v[0]);
            case 2 -> List.of(v[0], v[1]);
            default -> throw new ModelException(c.origin() + ": '" + field + "' has " + v.length + " numbers, expected height and width.");
        };
        if (out.getFirst() <= 0 || out.getLast() <= 0) {
            throw new ModelException(c.origin() + ": '" + field + "' is " + out + ", expected positive numbers.");
        }
        return out;
    }
}
