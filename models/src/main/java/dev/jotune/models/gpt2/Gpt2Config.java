package dev.jotune.models.gpt2;

import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.head.DropoutRates;
import java.util.Set;

/**
 * The shape of a GPT-2, as {@code config.json} gives it.
 *
 * @param hiddenSize C ({@code n_embd})
 * @param intermediateSize F ({@code n_inner}, else 4 C)
 * @param layers L ({@code n_layer})
 * @param heads H ({@code n_head})
 * @param context the most positions ({@code n_positions})
 * @param vocabSize V
 * @param scaleByHeadDim whether scores are divided by sqrt(D)
 * @param scaleByLayer whether the scores of layer i are divided by i + 1
 * @param dropout {@code embd_pdrop}, {@code attn_pdrop} and {@code resid_pdrop}
 */
public record Gpt2Config(int hiddenSize, int intermediateSize, int layers, int heads, int context, int vocabSize, double epsilon,
        String activation, boolean scaleByHeadDim, boolean scaleByLayer, boolean tieWordEmbeddings, DropoutRates dropout) {
    /** Settings of a head for classification; an order of operations that changes rounding only. */
    private static final Set<String> HARMLESS = Set.of("n_ctx", "reorder_and_upcast_attn", "summary_activation",
            "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj");

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static Gpt2Config read(Config c) {
        int hidden = c.size("n_embd", 768);
        int heads = c.size("n_head", 12);
        if (hidden % heads != 0) {
            throw new ModelException(c.origin() + ": n_embd " + hidden + " is not a multiple of n_head " + heads + ".");
        }
        String activation = c.text("activation_function", "gelu_new");
        if (!Activations.isKnown(activation)) {
            throw new ModelException(c.origin() + ": activation_function '" + activation + "' is not supported. Supported: "
                    + String.join(", ", Activations.names()) + ".");
        }
        Gpt2Config out = new Gpt2Config(hidden, c.size("n_inner", 4 * hidden), c.size("n_layer", 12), heads, c.size("n_positions", 1024),
                c.size("vocab_size", 50257), c.number("layer_norm_epsilon", 1e-5), activation, c.flag("scale_attn_weights", true),
                c.flag("scale_attn_by_inverse_layer_idx", false), c.flag("tie_word_embeddings", true),
                new DropoutRates(DropoutRates.read(c, "embd_pdrop", 0.1), DropoutRates.read(c, "attn_pdrop", 0.1),
                        DropoutRates.read(c, "resid_pdrop", 0.1), 0));
        c.finish(HARMLESS);
        return out;
    }

    /** D. */
    public int headDim() {
        return hiddenSize / heads;
    }

    /** The factor of the scores of a layer. */
    double attentionScale(int layer) {
        return (scaleByHeadDim ? 1 / Math.sqrt(headDim()) : 1) / (scaleByLayer ? layer + 1 : 1);
    }
}
