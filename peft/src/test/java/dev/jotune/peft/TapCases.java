package dev.jotune.peft;

import dev.jotune.models.decoder.DecoderConfig;
import java.util.List;
import java.util.Map;

/** {@link ContractCases} of the methods that hold activations. No settings: no decoder has a place for it, see {@link BackboneCase}. */
final class TapCases {
    static final Map<String, List<ContractCases.Case>> TABLE = Map.of("adapter", adapter(), "lofit", lofit(),
            "state-offset", List.of(), "pasta", List.of());
    static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of("adapter", senselessAdapter(), "lofit", senselessLofit());

    private TapCases() {}

    private static List<ContractCases.Case> adapter() {
        return List.of(
                new ContractCases.Case("Houlsby", Map.of("reduction_factor", 4, "non_linearity", "gelu"), c -> bottlenecks(c, 2, 4)),
                new ContractCases.Case("Pfeiffer", Map.of("placement", "pfeiffer", "reduction_factor", 3, "non_linearity", "tanh"),
                        c -> bottlenecks(c, 1, 3)),
                new ContractCases.Case("parallel", Map.of("placement", "parallel", "reduction_factor", 2, "scaling", 4),
                        c -> bottlenecks(c, 1, 2)),
                new ContractCases.Case("narrow, and a norm", Map.of("reduction_factor", 100, "non_linearity", "silu",
                        "modules_to_save", List.of("model.norm")), c -> bottlenecks(c, 2, 100) + c.hiddenSize()));
    }

    /** 2 C m + m + C at some places of each block. */
    private static long bottlenecks(DecoderConfig c, int places, int factor) {
        long width = c.hiddenSize();
        long m = Math.max(1, width / factor);
        return (long) places * c.numHiddenLayers() * (2 * width * m + m + width);
    }

    private static List<ContractCases.Case> lofit() {
        return List.of(
                new ContractCases.Case("scales", Map.of("init_std", 0), c -> (long) c.numHiddenLayers() * c.numAttentionHeads() * c.headDim())
                        .mergesOn(_ -> false),
                new ContractCases.Case("offsets", Map.of("stage", "offsets", "init_std", 0, "heads",
                        List.of("layers.1.attn.1", "layers.0.attn.0", "layers.1.attn.0")), c -> 3L * c.headDim())
                        .mergesOn(DecoderConfig::attentionBias),
                new ContractCases.Case("random start", Map.of("stage", "offsets", "init_std", 0.1, "heads", List.of("layers.0.attn.1"),
                        "modules_to_save", List.of("model.norm")), c -> c.headDim() + (long) c.hiddenSize()).mergesOn(DecoderConfig::attentionBias));
    }

    private static Map<String, Map<String, ?>> senselessLofit() {
        return Map.of(
                "stage is 'both'", Map.of("stage", "both"),
                "init_std is -1.0", Map.of("init_std", -1),
                "l1_weight is -0.1", Map.of("l1_weight", -0.1),
                "heads is empty", Map.of("stage", "offsets", "heads", List.of()),
                "no head layers.2.attn.0", Map.of("stage", "offsets", "heads", List.of("layers.2.attn.0")),
                "named twice", Map.of("stage", "offsets", "heads", List.of("layers.0.attn.0", "layers.0.attn.0")),
                "heads are given for the stage scales", Map.of("stage", "scales", "heads", List.of("layers.0.attn.0")));
    }

    private static Map<String, Map<String, ?>> senselessAdapter() {
        return Map.of(
                "placement is 'before'; it must be houlsby, pfeiffer or parallel", Map.of("placement", "before"),
                "reduction_factor is 0", Map.of("reduction_factor", 0),
                "non_linearity is 'step'", Map.of("non_linearity", "step"),
                "scaling is 0.0", Map.of("scaling", 0),
                "no module of the model is called 'x'", Map.of("modules_to_save", List.of("x")));
    }
}
