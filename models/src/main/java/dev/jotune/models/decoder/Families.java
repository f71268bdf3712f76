package dev.jotune.models.decoder;

import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.decoder.DecoderConfig.NormPlacement;
import dev.jotune.models.decoder.DecoderConfig.QueryKeyNorm;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;

/** The families: each says in what it differs from Llama. Defaults are those of transformers. */
public final class Families {
    private static final Map<String, Function<Config, DecoderConfig>> ALL = new TreeMap<>(Map.of(
            "llama", Families::llama, "mistral", Families::mistral, "qwen2", Families::qwen2, "qwen3", Families::qwen3,
            "gemma2", Families::gemma2, "gemma3_text", Families::gemma3, "phi3", Families::phi3, "olmo2", Families::olmo2,
            "mixtral", Families::mixtral, "qwen2_moe", Families::qwen2Moe));

    private Families() {}

    /** The {@code model_type} of each family. */
    public static Set<String> names() {
        return Collections.unmodifiableSet(ALL.keySet());
    }

    /**
     * Reads a configuration by its {@code model_type}.
     *
     * @throws ModelException naming the field that is missing, malformed or not supported
     */
    public static DecoderConfig read(Config c) {
        Function<Config, DecoderConfig> family = ALL.get(c.text("model_type", "llama"));
        if (family == null) {
            throw new ModelException(c.origin() + ": model_type '" + c.text("model_type", "") + "' is no decoder that Jotune knows. Known: "
                    + String.join(", ", ALL.keySet()) + ".");
        }
        return family.apply(c);
    }

    /** Touvron et al., arXiv 2302.13971 and 2307.09288; Grattafiori et al., arXiv 2407.21783. */
    private static DecoderConfig llama(Config c) {
        return new DecoderOptions(c).attentionBias(c.flag("attention_bias", false)).mlpBias(c.flag("mlp_bias", false)).done();
    }

    /** Jiang et al., arXiv 2310.06825. */
    private static DecoderConfig mistral(Config c) {
        DecoderOptions o = new DecoderOptions(c);
        return o.sliding(o.window(4096)).done();
    }

    /** Yang et al., arXiv 2407.10671. */
    private static DecoderConfig qwen2(Config c) {
        return lateWindows(new DecoderOptions(c)).queryKeyValueBias(true).done();
    }

    /** Yang et al., arXiv 2505.09388. */
    private static DecoderConfig qwen3(Config c) {
        return lateWindows(new DecoderOptions(c, 128)).attentionBias(c.flag("attention_bias", false))
                .queryKeyNorm(QueryKeyNorm.HEAD).done();
    }

    /** Gemma Team, arXiv 2408.00118. */
    private static DecoderConfig gemma2(Config c) {
        DecoderOptions o = gemma(c);
        return o.sliding(o.window(4096), i -> i % 2 == 0).softcaps(cap(c, "attn_logit_softcapping", 50), cap(c, "final_logit_softcapping", 30))
                .done("hidden_act");
    }

    /** Gemma Team, arXiv 2503.19786; the text model. */
    private static DecoderConfig gemma3(Config c) {
        int pattern = c.size("sliding_window_pattern", c.size("_sliding_window_pattern", 6));
        DecoderOptions o = gemma(c).queryKeyNorm(QueryKeyNorm.HEAD).softcaps(0, cap(c, "final_logit_softcapping", 0));
        return o.sliding(o.window(4096), i -> (i + 1) % pattern != 0).ropesByKind(1e6, 1e4).done("hidden_act");
    }

    /** Abdin et al., arXiv 2404.14219. */
    private static DecoderConfig phi3(Config c) {
        DecoderOptions o = new DecoderOptions(c).epsilon(1e-5).fusedProjections().residualDropout();
        return o.sliding(o.window(0)).done();
    }

    /** OLMo Team, arXiv 2501.00656. */
    private static DecoderConfig olmo2(Config c) {
        return new DecoderOptions(c).epsilon(1e-5).attentionBias(c.flag("attention_bias", false)).norms(NormPlacement.AFTER, false)
                .queryKeyNorm(QueryKeyNorm.PROJECTION).done();
    }

    /** Jiang et al., arXiv 2401.04088. */
    private static DecoderConfig mixtral(Config c) {
        DecoderOptions o = new DecoderOptions(c).epsilon(1e-5).rope(1e6).without("router_jitter_noise");
        return o.sliding(o.window(0)).experts(new ExpertConfig(c.size("num_local_experts", 8), c.size("num_experts_per_tok", 2),
                c.size("intermediate_size"), 0, true, "block_sparse_moe", List.of("w1", "w3", "w2"), Collections.nCopies(o.layers, true),
                c.number("router_aux_loss_coef", 0.001), c.flag("output_router_logits", false))).done();
    }

    /** Qwen Team, "Qwen1.5-MoE" (2024): fine-grained experts beside one that is shared. */
    private static DecoderConfig qwen2Moe(Config c) {
        boolean windowed = c.flag("use_sliding_window", false);
        DecoderOptions o = new DecoderOptions(c).queryKeyValueBias(c.flag("qkv_bias", true));
        int window = windowed ? o.window(4096) : 0;
        int last = c.count("max_window_layers", 28);
        return o.sliding(window, i -> windowed && i % 2 == 0 && i < last).experts(new ExpertConfig(c.size("num_experts", 60),
                c.size("num_experts_per_tok", 4), c.size("moe_intermediate_size", 1408), c.size("shared_expert_intermediate_size", 5632),
                c.flag("norm_topk_prob", false), "mlp", List.of("gate_proj", "up_proj", "down_proj"), sparse(c, o.layers),
                c.number("router_aux_loss_coef", 0.001), c.flag("output_router_logits", false))).done("sliding_window");
    }

    /** Qwen: windows, if at all, in the layers from {@code max_window_layers} on. */
    private static DecoderOptions lateWindows(DecoderOptions o) {
        boolean windowed = o.config.flag("use_sliding_window", false);
        int window = o.window(4096);
        int first = o.config.count("max_window_layers", 28);
        return o.sliding(windowed ? window : 0, i -> windowed && i >= first);
    }

    /** What the Gemmas share. */
    private static DecoderOptions gemma(Config c) {
        return new DecoderOptions(c, 256).activation("hidden_activation", "gelu_pytorch_tanh").tiedByDefault().scaledEmbedding()
                .attentionBias(c.flag("attention_bias", false)).norms(NormPlacement.AROUND, true)
                .scaleByRootOf(c.number("query_pre_attn_scalar", 256));
    }

    /** A cap; null means none, and absence the family's default. */
    private static double cap(Config c, String field, double otherwise) {
        return c.mentions(field) ? c.number(field, 0) : otherwise;
    }

    /** Every {@code decoder_sparse_step}-th layer but those that are listed. */
    private static List<Boolean> sparse(Config c, int layers) {
        int step = c.size("decoder_sparse_step", 1);
        Set<Integer> dense = new java.util.HashSet<>();
        for (int i : c.ids("mlp_only_layers")) {
            dense.add(i);
        }
        List<Boolean> out = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
            out.add(!dense.contains(i) && (i + 1) % step == 0);
        }
        return out;
    }
}
