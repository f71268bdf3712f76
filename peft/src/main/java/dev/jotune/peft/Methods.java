package dev.jotune.peft;

import dev.jotune.peft.methods.AdaptionPrompt;
import dev.jotune.peft.methods.Aligner;
import dev.jotune.peft.methods.BottleneckAdapter;
import dev.jotune.peft.methods.Ia3;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.NtkAttention;
import dev.jotune.peft.methods.Oft;
import dev.jotune.peft.methods.PTuning;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.peft.methods.Vera;
import java.util.List;
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
            new MethodInfo("adaption_prompt", "ADAPTION_PROMPT", "LLaMA-Adapter", "2303.16199", "attention segments",
                    "o = softmax(q K^T) V + g softmax(q K_p^T) V_p", "L (n C + 1)", AdaptionPrompt.DEFAULTS),
            new MethodInfo("ntk_attention", "NTK_ATTENTION", "NTK-Attention", "2406.14036", "attention segments",
                    "o = (sum_j e^(q k_j) v_j + phi(q) Z) / (sum_j e^(q k_j) + phi(q) |k|)", "L H (D^2 + D)", NtkAttention.DEFAULTS),
            new MethodInfo("aligner", "ALIGNER", "Aligner", "2312.05503", "attention segments",
                    "o = softmax(q K^T) V + b_lh softmax(q K_p^T) V_p, one P for all layers", "n C + L H", Aligner.DEFAULTS),
            new MethodInfo("adapter", "BOTTLENECK_ADAPTER", "Bottleneck adapters", "1902.00751", "taps",
                    "h' = h + s (W_up a(W_down x + b_down) + b_up)", "sum over places of 2 C m + m + C", BottleneckAdapter.DEFAULTS));

    private static final List<UnattachedMethod> UNATTACHED = List.of(
            decoding("proxy", "Proxy-Tuning", "2401.08565", "s = s_base + alpha (s_expert - s_anti)", "base + 1.0*(expert - anti)"),
            decoding("contrast", "Contrastive Decoding", "2210.15097", "s = ln p_expert - ln p_amateur where p_expert >= alpha max p_expert",
                    "contrast(expert, amateur)"),
            decoding("contrast-logits", "Contrastive Decoding on logits", "2309.09117",
                    "s = (1 + beta) s_expert - beta s_amateur, masked alike", "mask(1.5*expert - 0.5*amateur, expert, 0.1)"),
            decoding("guide", "Classifier-Free Guidance", "2306.17806", "s = ln p(x) + gamma (ln p(x | prompt) - ln p(x))", "guide(base, 1.5)"),
            decoding("eft", "Emulated Fine-Tuning", "2310.12962", "s = ln p_base + (1 / beta) (ln p_tuned - ln p_untuned)",
                    "eft(base, tuned, untuned)"),
            decoding("air", "Air-Decoding", "2310.14892", "s = ln p_base + lambda ln P(a | x), r_a = -1 / ln p_a",
                    "base + 140*posterior(wanted, other)"));

    private Methods() {}

    private static UnattachedMethod decoding(String name, String title, String paper, String equation, String formula) {
        return new UnattachedMethod(name, title, paper, "logits", equation, "--lm \"" + formula + "\"");
    }

    /** Methods that attach nothing: those that work while models write. */
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

    /** By PEFT's {@code peft_type}: the first of those that share one and differ by a field. */
    public static MethodInfo ofType(String peftType) {
        return ALL.stream().filter(m -> m.peftType().equals(peftType)).findFirst().orElseThrow(() ->
                new AdapterException("peft_type '" + peftType + "' is not supported. Supported: "
                        + ALL.stream().map(MethodInfo::peftType).distinct().collect(Collectors.joining(", ")) + "."));
    }
}
