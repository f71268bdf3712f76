package dev.jotune.peft;

import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.peft.ContractCases.Case;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** What {@link ContractCases} says of methods that train the model's own weights. */
final class WeightCases {
    static final Map<String, List<Case>> TABLE = Map.of("full", full());
    static final Map<String, Map<String, Map<String, ?>>> SENSELESS = Map.of("full", Map.of(
            "matches no weight", Map.of("target_modules", List.of("c_attn")),
            "leaves no weight", Map.of("exclude_modules", ".*")));

    private WeightCases() {}

    private static List<Case> full() {
        return List.of(
                new Case("plain", Map.of(), WeightCases::weights),
                new Case("without embedding and head", Map.of("exclude_modules", List.of("embed_tokens", "lm_head")),
                        c -> weights(c) - tables(c) * c.vocabSize() * c.hiddenSize()),
                new Case("norms", Map.of("target_modules", ".*norm"), c -> (2L * c.numHiddenLayers() + 1) * c.hiddenSize()));
    }

    /** Embedding and head, which may be one. */
    private static long tables(DecoderConfig c) {
        return c.tieWordEmbeddings() ? 1 : 2;
    }

    private static long weights(DecoderConfig c) {
        long matrices = Stream.of(ContractCases.LINEAR).mapToLong(m -> TinyModels.linear(m, c)[0] * TinyModels.linear(m, c)[1]).sum();
        long biases = (c.attentionBias() ? out(c, "q_proj", "k_proj", "v_proj") : 0) + (c.outputBias() ? out(c, "o_proj") : 0)
                + (c.mlpBias() ? out(c, "gate_proj", "up_proj", "down_proj") : 0);
        return c.numHiddenLayers() * (matrices + biases)
                + (tables(c) * c.vocabSize() + 2L * c.numHiddenLayers() + 1) * c.hiddenSize();
    }

    private static long out(DecoderConfig c, String... modules) {
        return Stream.of(modules).mapToLong(m -> TinyModels.linear(m, c)[0]).sum();
    }
}
