package dev.jotune.peft;

import static java.util.Map.entry;

import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.peft.ContractCases.Case;
import java.util.List;
import java.util.Map;

/** What {@link ContractCases} says of methods that take steps after an attention's keys. */
final class SegmentCases {
    static final Map<String, List<Case>> TABLE = Map.of("adaption_prompt", adaptionPrompt(),
            "ntk_attention", ntkAttention(), "aligner", aligner(), "self-control-prefix", selfControl());
    static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of(
            "self-control-prefix", Map.of("num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0), "adapter_len is -1", Map.of("adapter_len", -1),
                    "prompt_tuning_init is 'ZERO'", Map.of("prompt_tuning_init", "ZERO"),
                    "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x"))),
            "adaption_prompt", senselessAdaptionPrompt(), "ntk_attention", senselessNtkAttention(),
            "aligner", Map.of("num_virtual_tokens is 0", Map.of("num_virtual_tokens", 0),
                    "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x"))));

    private SegmentCases() {}

    /** L (n C + 1). */
    private static long states(DecoderConfig c, long layers, long n) {
        return layers * (n * c.hiddenSize() + 1);
    }

    private static List<Case> adaptionPrompt() {
        return List.of(
                new Case("all layers", Map.of("adapter_len", 3), c -> states(c, c.numHiddenLayers(), 3)),
                new Case("the last layer", Map.of("adapter_len", 2, "adapter_layers", 1, "target_modules", "self_attn"), c -> states(c, 1, 2)));
    }

    private static List<Case> selfControl() {
        return List.of(
                new Case("plain", Map.of("num_virtual_tokens", 2, "adapter_len", 3), c -> 2L * c.hiddenSize() + states(c, c.numHiddenLayers(), 3)),
                new Case("from a text", Map.of("num_virtual_tokens", 3, "adapter_len", 1, "prompt_tuning_init", "TEXT", "prompt_tuning_init_text",
                        "abc", "modules_to_save", List.of("model.norm")), c -> 4L * c.hiddenSize() + states(c, c.numHiddenLayers(), 1)));
    }

    private static Map<String, Map<String, ?>> senselessAdaptionPrompt() {
        return Map.ofEntries(
                entry("adapter_len is 0", Map.of("adapter_len", 0)),
                entry("adapter_layers is 0", Map.of("adapter_layers", 0)),
                entry("adapter_layers is 3; it must be from 1 to the model's 2", Map.of("adapter_layers", 3)),
                entry("target_modules 'mlp' is the end of no attention's path", Map.of("target_modules", "mlp")));
    }

    /** L H (D^2 + D). */
    private static long sums(DecoderConfig c) {
        return (long) c.numHiddenLayers() * c.numAttentionHeads() * (c.headDim() + 1) * c.headDim();
    }

    private static List<Case> ntkAttention() {
        return List.of(
                new Case("plain", Map.of("init_std", 0.05), SegmentCases::sums),
                new Case("with a norm", Map.of("init_std", 0.2, "modules_to_save", List.of("model.norm")), c -> sums(c) + c.hiddenSize()));
    }

    private static List<Case> aligner() {
        return List.of(
                new Case("three states", Map.of("num_virtual_tokens", 3), c -> 3L * c.hiddenSize() + gates(c)),
                new Case("one state", Map.of("num_virtual_tokens", 1), c -> c.hiddenSize() + gates(c)));
    }

    private static long gates(DecoderConfig c) {
        return (long) c.numHiddenLayers() * c.numAttentionHeads();
    }

    private static Map<String, Map<String, ?>> senselessNtkAttention() {
        return Map.of("init_std is 0.0", Map.of("init_std", 0), "init_std is -1.0", Map.of("init_std", -1),
                "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x")));
    }
}
