package dev.jotune.models.mamba;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import java.util.Set;

/**
 * The shape of a Mamba, as {@code config.json} gives it.
 *
 * @param hiddenSize C
 * @param intermediateSize E, channels of the scan
 * @param stateSize N, states of a channel
 * @param convKernel K, taps of the convolution over time
 * @param timeStepRank R, the width from which step sizes are made
 * @param numHiddenLayers L
 * @param vocabSize V
 * @param useBias whether in_proj and out_proj have biases
 */
public record MambaConfig(int hiddenSize, int intermediateSize, int stateSize, int convKernel, int timeStepRank, int numHiddenLayers,
        int vocabSize, double layerNormEpsilon, String hiddenAct, boolean useBias, boolean useConvBias, boolean tieWordEmbeddings) {
    /** How weights are drawn, which code runs, and the names that the first checkpoints gave to sizes. */
    private static final Set<String> HARMLESS = Set.of("time_step_floor", "time_step_init_scheme", "time_step_max", "time_step_min",
            "time_step_scale", "rescale_prenorm_residual", "residual_in_fp32", "use_associative_scan", "use_mambapy", "fused_add_norm",
            "pad_vocab_size_multiple", "d_inner", "d_model", "n_layer");

    /** @throws ModelException naming the field that is missing, malformed or not supported */
    public static MambaConfig read(Config c) {
        int hidden = c.size("hidden_size");
        int inner = (int) (c.number("expand", 2) * hidden);
        if (c.size("intermediate_size", inner) != inner) {
            throw new ModelException(c.origin() + ": intermediate_size " + c.size("intermediate_size") + " is not expand times hidden_size, "
                    + inner + ". The fields must agree.");
        }
        if (!c.flag("rms_norm", true)) {
            throw new ModelException(c.origin() + ": rms_norm is false, which is not supported. Supported: true.");
        }
        int rank = c.isText("time_step_rank") && c.text("time_step_rank", "").equals("auto") ? (hidden + 15) / 16
                : c.size("time_step_rank", (hidden + 15) / 16);
        MambaConfig out = new MambaConfig(hidden, inner, c.size("state_size", 16), c.size("conv_kernel", 4), rank,
                c.size("num_hidden_layers"), c.size("vocab_size"), c.number("layer_norm_epsilon", 1e-5), c.text("hidden_act", "silu"),
                c.flag("use_bias", false), c.flag("use_conv_bias", true), c.flag("tie_word_embeddings", true));
        c.finish(HARMLESS);
        return out;
    }
}
