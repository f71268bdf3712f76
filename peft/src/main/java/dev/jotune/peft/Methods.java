package dev.jotune.peft;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.jotune.peft.methods.AdaLora;
import dev.jotune.peft.methods.Ia3;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.Oft;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.peft.methods.Shira;
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
                    "sum over targets of init_r (in + out + 1)", AdaLora.DEFAULTS));

    private Methods() {}

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
