package dev.jotune.peft;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.jotune.peft.methods.AdaLora;
import dev.jotune.peft.methods.AdaptionPrompt;
import dev.jotune.peft.methods.Aligner;
import dev.jotune.peft.methods.BottleneckAdapter;
import dev.jotune.peft.methods.FullTuning;
import dev.jotune.peft.methods.HyperTuning;
import dev.jotune.peft.methods.Ia3;
import dev.jotune.peft.methods.Iapt;
import dev.jotune.peft.methods.Lofit;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.NtkAttention;
import dev.jotune.peft.methods.Oft;
import dev.jotune.peft.methods.PTuning;
import dev.jotune.peft.methods.Pasta;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptGating;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.peft.methods.ResidualPromptTuning;
import dev.jotune.peft.methods.SelfControlPrefix;
import dev.jotune.peft.methods.Shira;
import dev.jotune.peft.methods.StateOffset;
import dev.jotune.peft.methods.Vera;
import java.lang.reflect.RecordComponent;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** The registry of methods. */
public final class Methods {
    private static final List<MethodInfo> ALL = List.of(
            new MethodInfo("prefix", "PREFIX_TUNING", "Prefix-Tuning", "2101.00190", "attention segments",
                    "attention over [K; k], [V; v]", "2 n L G D", PrefixTuning.DEFAULTS),
            new MethodInfo("prompt", "PROMPT_TUNING", "Prompt Tuning", "2104.08691", "virtual tokens",
                    "input [P; E(x)]", "n C", PromptTuning.DEFAULTS),
            new MethodInfo("p-tuning", "P_TUNING", "P-Tuning", "2103.10385", "virtual tokens", "input [MLP(e); E(x)], or [MLP(LSTM(e)); E(x)]",
                    "n C + h (2 C + h + 2) + C with the MLP", PTuning.DEFAULTS),
            new MethodInfo("residual-prompt", "RESIDUAL_PROMPT_TUNING", "Residual Prompt Tuning", "2305.03937", "virtual tokens",
                    "input [P + LN(U relu(D P + d) + u); E(x)]", "n C + 2 C m + m + 3 C", ResidualPromptTuning.DEFAULTS),
            new MethodInfo("prompt-gating", "PROMPT_GATING", "Prompt Gating", "2212.09387", "virtual tokens, taps",
                    "input [P; E(x)]; P's states h' = sigmoid(g_l) h + a_l behind the attention of block l",
                    "3 (n m + m^2 + m) + (2 L + 1) (m + 1) C", PromptGating.DEFAULTS),
            new MethodInfo("iapt", "IAPT", "IAPT", "2405.18203", "virtual tokens", "[p_i; h] before block i, p_i = g_i(softmax(h D Q)^T h D) U",
                    "L (2 C m + m n) / k + 12 L", Iapt.DEFAULTS),
            new MethodInfo("hyper", "HYPER_TUNING", "HyperTuning", "2211.12485", "attention segments, or projection",
                    "[k; v] = head(h(examples, s)), or W' = W + (alpha / n) B A, A = head_A(h(..)), B^T = head_B(h(..))",
                    "n C + that of h + sum over heads of m (C + 1) + w (m + 1)", HyperTuning.DEFAULTS),
            new MethodInfo("lora", "LORA", "LoRA", "2106.09685", "projection", "W' = W + (alpha / r) B A",
                    "sum over targets of r (in + out)", Lora.DEFAULTS),
            new MethodInfo("dora", "LORA", "DoRA", "2402.09353", "projection", "W' = m (W + s B A) / |W + s B A|",
                    "sum over targets of r (in + out) + out", Lora.DEFAULTS.withDora()),
            new MethodInfo("ia3", "IA3", "(IA)^3", "2205.05638", "projection", "y = l * (W x)", "sum over targets of out, or in",
                    Ia3.DEFAULTS),
            new MethodInfo("vera", "VERA", "VeRA", "2310.11454", "projection", "W' = W + diag(b) B diag(d) A",
                    "sum over targets of out + r", Vera.DEFAULTS),
            new MethodInfo("oft", "OFT", "OFT", "2306.07280", "projection", "W' = W R^T, R = (I - Q)(I + Q)^-1",
                    "sum over targets of in (b - 1) / 2", Oft.DEFAULTS),
            new MethodInfo("shira", "SHIRA", "SHiRA", "2406.13175", "projection", "W' = W + S, S sparse",
                    "sum over targets of r (in + out)", Shira.DEFAULTS),
            new MethodInfo("adalora", "ADALORA", "AdaLoRA", "2303.10512", "projection, training step", "W' = W + s P diag(e) Q",
                    "sum over targets of init_r (in + out + 1)", AdaLora.DEFAULTS),
            new MethodInfo("adaption_prompt", "ADAPTION_PROMPT", "LLaMA-Adapter", "2303.16199", "attention segments",
                    "o = softmax(q K^T) V + g softmax(q K_p^T) V_p", "L (n C + 1)", AdaptionPrompt.DEFAULTS),
            new MethodInfo("ntk_attention", "NTK_ATTENTION", "NTK-Attention", "2406.14036", "attention segments",
                    "o = (sum_j e^(q k_j) v_j + phi(q) Z) / (sum_j e^(q k_j) + phi(q) |k|)", "L H (D^2 + D)", NtkAttention.DEFAULTS),
            new MethodInfo("aligner", "ALIGNER", "Aligner", "2312.05503", "attention segments",
                    "o = softmax(q K^T) V + b_lh softmax(q K_p^T) V_p, one P for all layers", "n C + L H", Aligner.DEFAULTS),
            new MethodInfo("self-control-prefix", "SELF_CONTROL_PREFIX", "SelfControl-Prefix", "2406.02721", "virtual tokens, attention segments",
                    "input [P; E(x)], and LLaMA-Adapter's gated states in every attention", "n C + L (m C + 1)", SelfControlPrefix.DEFAULTS),
            new MethodInfo("adapter", "BOTTLENECK_ADAPTER", "Bottleneck adapters", "1902.00751", "taps",
                    "h' = h + s (W_up a(W_down x + b_down) + b_up)", "sum over places of 2 C m + m + C", BottleneckAdapter.DEFAULTS),
            new MethodInfo("lofit", "LOFIT", "LoFiT", "2406.01563", "taps", "z_h' = (1 + A_h) * z_h, then z_h' = z_h + v_h at K heads",
                    "K D; in the first stage D for every head", Lofit.DEFAULTS),
            new MethodInfo("state-offset", "STATE_OFFSET", "State-offset tuning", "2503.03499", "taps", "y_t = C_t (h_t + S) + D u_t",
                    "L E N, L E, or L r (E + N)", StateOffset.DEFAULTS),
            new MethodInfo("pasta", "PASTA", "PASTA", "2210.04382", "taps", "h_l[pos_s]' = h_l[pos_s] + e_l,s", "L S C", Pasta.DEFAULTS),
            new MethodInfo("full", "FULL", "Full fine-tuning", "1810.04805", "weights", "W' = theta", "every weight",
                    FullTuning.DEFAULTS));

    private static final List<UnattachedMethod> UNATTACHED = List.of(
            decoding("proxy", "Proxy-Tuning", "2401.08565", "s = s_base + alpha (s_expert - s_anti)", "base + 1.0*(expert - anti)",
                    "DecodingMethodsTest"),
            decoding("contrast", "Contrastive Decoding", "2210.15097", "s = ln p_expert - ln p_amateur where p_expert >= alpha max p_expert",
                    "contrast(expert, amateur)", "DecodingMethodsTest"),
            decoding("contrast-logits", "Contrastive Decoding on logits", "2309.09117",
                    "s = (1 + beta) s_expert - beta s_amateur, masked alike", "mask(1.5*expert - 0.5*amateur, expert, 0.1)", "DecodingGoldenTest"),
            decoding("guide", "Classifier-Free Guidance", "2306.17806", "s = ln p(x) + gamma (ln p(x | prompt) - ln p(x))", "guide(base, 1.5)",
                    "DecodingMethodsTest"),
            decoding("eft", "Emulated Fine-Tuning", "2310.12962", "s = ln p_base + (1 / beta) (ln p_tuned - ln p_untuned)",
                    "eft(base, tuned, untuned)", "DecodingMethodsTest"),
            decoding("air", "Air-Decoding", "2310.14892", "s = ln p_base + lambda ln P(a | x), r_a = -1 / ln p_a",
                    "base + 140*posterior(wanted, other)", "AirDecodingTest"),
            new UnattachedMethod("self-control", "SelfControl", "2406.02721", "taps", "h_l <- h_l + a clip(dS/dh_l), S the model's own judgement",
                    "SelfControl, ControlDistillation in Java", "SelfControlTest"),
            step("dpo", "DPO, its prompts shared", "2410.20305", "-ln s(beta (ln p_w / r_w - ln p_l / r_l))", "--objective dpo", "PrefixSharingTest"),
            step("asft", "Anchored SFT", "2509.23753", "sg(p_t) (-ln p_t) + lambda KL(ref || p)", "--objective asft", "AnchoredSftTest"),
            step("grpo", "GRPO", "2402.03300", "-min(rho A, clip(rho) A) + beta KL, A = (r - mean) / std", "--objective grpo", "GrpoTest"),
            step("ppo", "PPO's losses", "1707.06347", "-min(rho A, clip(rho) A), max of (v - R)^2 and the clipped one, A of GAE",
                    "PolicyLoss in Java", "PreferenceGoldenTest"),
            step("kto", "KTO", "2402.01306", "d (1 - s(beta (r_w - z))), u (1 - s(beta (z - r_l)))", "Kto in Java", "PreferenceGoldenTest"),
            step("mezo", "MeZO", "2305.17333", "theta -= rate (L(theta + eps z) - L(theta - eps z)) / (2 eps) z", "--trainer mezo", "MezoTest"),
            step("lisa", "LISA", "2403.17919", "gamma of L layers train, drawn every K steps", "--method full --trainer lisa", "LisaTest"),
            step("gmt", "Gradient-Mask Tuning", "2406.15330", "theta -= rate Opt(M G), M the largest k of |G|", "--trainer gmt", "GradientMaskTest"),
            step("bbt", "BBTv2", "2205.11200", "p_l = start_l + A_l z_l, z_l by CMA-ES", "--trainer bbt", "BlackBoxTest"),
            weights("task-arithmetic", "Task Arithmetic", "2212.04089", "W' = W + sum of w_i (W_i - W)",
                    "jotune weights --method task-arithmetic", "MergeGoldenTest"),
            weights("ties", "TIES-Merging", "2306.01708", "trim, elect signs, mean of those that agree", "jotune weights --method ties",
                    "MergingRulesTest"),
            weights("dare", "DARE", "2311.03099", "tau' = m tau / p, m drawn with probability p", "jotune weights --method dare-linear",
                    "MergingRulesTest"),
            weights("breadcrumbs", "Model Breadcrumbs", "2312.06795", "tau without its largest and its smallest numbers",
                    "jotune weights --method breadcrumbs", "MergeGoldenTest"),
            weights("slerp", "Spherical interpolation", "2403.13257", "W' = (sin((1 - t) a) W_1 + sin(t a) W_2) / sin a, a their angle",
                    "jotune weights --method slerp", "MergingRulesTest"),
            weights("soup", "Model Soups", "2203.05482", "W' = mean of W_i, all or those that help", "jotune weights --method greedy-soup",
                    "MergingRulesTest"),
            weights("fisher", "Fisher-Weighted Averaging", "2111.09832", "W' = sum of F_i W_i / sum of F_i", "FisherAverage in Java",
                    "MergeGoldenTest"),
            weights("bitdelta", "BitDelta", "2402.10193", "W' = W + a sign(W_1 - W), a = mean |W_1 - W|", "jotune compress --method bitdelta",
                    "BitDeltaTest"),
            weights("compeft", "ComPEFT", "2311.13171", "tau' = a std(tau) sign(top k of tau)", "jotune compress --method compeft",
                    "ComPeftExpertsTest"),
            new UnattachedMethod("hydragen", "Hydragen", "2402.05099", "attention segments", "(o, lse) of a shared run, once for all rows",
                    "TokenTree, CausalLanguageModel.sharingPrefixes in Java", "TokenTreeTest"));

    private Methods() {}

    private static UnattachedMethod decoding(String name, String title, String paper, String equation, String formula, String test) {
        return new UnattachedMethod(name, title, paper, "logits", equation, "--lm \"" + formula + "\"", test);
    }

    private static UnattachedMethod weights(String name, String title, String paper, String equation, String use, String test) {
        return new UnattachedMethod(name, title, paper, "weights as vectors", equation, use, test);
    }

    private static UnattachedMethod step(String name, String title, String paper, String equation, String options, String test) {
        return new UnattachedMethod(name, title, paper, "training step", equation, options, test);
    }

    /** Methods that attach nothing: those that work while models write, and ways to train. */
    public static List<UnattachedMethod> unattached() {
        return UNATTACHED;
    }

    public static List<MethodInfo> all() {
        return ALL;
    }

    /**
     * By the name used on the command line.
     *
     * @throws AdapterException listing the names there are
     */
    public static MethodInfo named(String name) {
        return ALL.stream().filter(m -> m.name().equalsIgnoreCase(name)).findFirst().orElseThrow(() ->
                new AdapterException("there is no method '" + name + "'. Methods: "
                        + ALL.stream().map(MethodInfo::name).collect(Collectors.joining(", ")) + "."));
    }

    /**
     * A method's defaults with some fields set.
     *
     * @param fields under PEFT's names: {@code lora_alpha}
     * @throws AdapterException if a field is unknown or its value has the wrong type
     */
    public static TuningMethod configure(MethodInfo info, Map<String, ?> fields) {
        return AdapterConfig.with(info, fields);
    }

    /** The field of {@code adapter_config.json} that a component of a method's record is. */
    public static String field(RecordComponent component) {
        JsonProperty named = component.getAccessor().getAnnotation(JsonProperty.class);
        return named != null ? named.value() : component.getName().replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
    }

    /** By PEFT's {@code peft_type}: the first of those that share one and differ by a field. */
    public static MethodInfo ofType(String peftType) {
        return ALL.stream().filter(m -> m.peftType().equals(peftType)).findFirst().orElseThrow(() ->
                new AdapterException("peft_type '" + peftType + "' is not supported. Supported: "
                        + ALL.stream().map(MethodInfo::peftType).distinct().collect(Collectors.joining(", ")) + "."));
    }
}
