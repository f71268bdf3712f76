package dev.jotune.peft;

import static dev.jotune.peft.ContractCases.out;
import static dev.jotune.peft.ContractCases.pairs;

import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.peft.ContractCases.Case;
import java.util.List;
import java.util.Map;

/** {@link ContractCases} of methods that reshape linear layers. */
final class ProjectionCases {
    private ProjectionCases() {}

    static List<Case> dora() {
        return List.of(
                new Case("plain", Map.of("r", 2, "lora_alpha", 3), c -> pairs(c, 2, "q_proj", "v_proj") + out(c, "q_proj", "v_proj")),
                new Case("rslora and dropout", Map.of("r", 3, "lora_alpha", 2, "use_rslora", true, "lora_dropout", 0.3,
                        "target_modules", List.of("q_proj", "down_proj")),
                        c -> pairs(c, 3, "q_proj", "down_proj") + out(c, "q_proj", "down_proj")),
                new Case("random start", Map.of("r", 2, "init_lora_weights", false), c -> pairs(c, 2, "q_proj", "v_proj")
                        + out(c, "q_proj", "v_proj")),
                new Case("biases of targets", Map.of("r", 2, "bias", "lora_only"),
                        c -> pairs(c, 2, "q_proj", "v_proj") + 2 * out(c, "q_proj", "v_proj")).on(DecoderConfig::attentionBias));
    }

    static Map<String, Map<String, ?>> senselessDora() {
        return Map.of(
                "r is 0", Map.of("r", 0),
                "lora_bias is true", Map.of("lora_bias", true),
                "matches no linear layer", Map.of("target_modules", List.of("c_attn")));
    }
}
