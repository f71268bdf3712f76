package dev.jotune.peft;

import static dev.jotune.peft.ContractCases.out;
import static dev.jotune.peft.ContractCases.pairs;

import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.peft.ContractCases.Case;
import java.util.List;
import java.util.Map;

/** {@link ContractCases} of methods that reshape linear layers. */
final class ProjectionCases {
    static final Map<String, List<Case>> TABLE = Map.of("dora", dora(), "shira", shira(), "adalora", adaLora());
    static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of("dora", senselessDora(), "shira", senselessShira(),
            "adalora", senselessAdaLora());

    private ProjectionCases() {}

    private static List<Case> dora() {
        return List.of(
                new Case("plain", Map.of("r", 2, "lora_alpha", 3), c -> pairs(c, 2, "q_proj", "v_proj") + out(c, "q_proj", "v_proj")),
                new Case("rslora and dropout", Map.of("r", 3, "lora_alpha", 2, "use_rslora", true, "lora_dropout", 0.3,
                        "target_modules", List.of("q_proj", "down_proj")),
                        c -> pairs(c, 3, "q_proj", "down_proj") + out(c, "q_proj", "down_proj")),
                new Case("random start", Map.of("r", 2, "init_lora_weights", false), c -> pairs(c, 2, "q_proj", "v_proj")
                        + out(c, "q_proj", "v_proj")),
                new Case("embedding", Map.of("r", 2, "target_modules", List.of("embed_tokens")),
                        c -> 2L * (c.vocabSize() + c.hiddenSize()) + c.hiddenSize()).mergesOn(c -> !c.tieWordEmbeddings()),
                new Case("biases of targets", Map.of("r", 2, "bias", "lora_only"),
                        c -> pairs(c, 2, "q_proj", "v_proj") + 2 * out(c, "q_proj", "v_proj")).on(DecoderConfig::attentionBias));
    }

    private static Map<String, Map<String, ?>> senselessDora() {
        return Map.of(
                "r is 0", Map.of("r", 0),
                "lora_bias is true", Map.of("lora_bias", true),
                "matches no linear layer", Map.of("target_modules", List.of("c_attn")));
    }

    private static List<Case> shira() {
        return List.of(
                new Case("plain", Map.of("r", 1), c -> pairs(c, 1, "q_proj", "v_proj")),
                new Case("of PyTorch's places", Map.of("r", 1, "random_seed", 3, "target_modules", List.of("q_proj", "down_proj")),
                        c -> pairs(c, 1, "q_proj", "down_proj")),
                new Case("random start", Map.of("r", 1, "init_weights", false, "target_modules", "all-linear"),
                        c -> pairs(c, 1, ContractCases.LINEAR)));
    }

    private static Map<String, Map<String, ?>> senselessShira() {
        return Map.of(
                "r is 0", Map.of("r", 0),
                "more than the", Map.of("r", 32),
                "mask_type is 'mine'", Map.of("r", 1, "mask_type", "mine"),
                "matches no linear layer", Map.of("r", 1, "target_modules", List.of("c_attn")));
    }

    private static List<Case> adaLora() {
        return List.of(
                new Case("plain", Map.of("init_r", 3, "target_r", 2, "total_step", 10), c -> pairs(c, 3, "q_proj", "v_proj")
                        + 2L * c.numHiddenLayers() * 3),
                new Case("dropout", Map.of("init_r", 2, "target_r", 1, "total_step", 10, "lora_dropout", 0.3, "lora_alpha", 0,
                        "target_modules", List.of("q_proj", "down_proj")),
                        c -> pairs(c, 2, "q_proj", "down_proj") + 2L * c.numHiddenLayers() * 2),
                new Case("random start", Map.of("init_r", 2, "target_r", 1, "total_step", 10, "init_lora_weights", false,
                        "layers_to_transform", List.of(1)), c -> (pairs(c, 2, "q_proj", "v_proj")
                        + 2L * c.numHiddenLayers() * 2) / c.numHiddenLayers()));
    }

    private static Map<String, Map<String, ?>> senselessAdaLora() {
        return Map.of(
                "init_r is 0", Map.of("init_r", 0, "total_step", 10),
                "target_r is 0", Map.of("target_r", 0, "total_step", 10),
                "total_step is 0", Map.of("total_step", 0),
                "deltaT is 0", Map.of("total_step", 10, "deltaT", 0),
                "tinit 6 and tfinal 4", Map.of("total_step", 10, "tinit", 6, "tfinal", 4),
                "beta1 is 1.0", Map.of("total_step", 10, "beta1", 1),
                "orth_reg_weight is -1.0", Map.of("total_step", 10, "orth_reg_weight", -1),
                "lora_dropout is 1.0", Map.of("total_step", 10, "lora_dropout", 1));
    }
}
