package dev.jotune.peft;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;
import java.util.stream.StreamSupport;

/** What of PEFT's configurations Jotune refuses by design, by field; everything else must match PEFT. */
final class Unsupported {
    /** Variants of LoRA that are methods of their own: any value that switches them on is refused. */
    private static final List<String> SWITCHES = List.of("kasa_config", "alora_invocation_tokens", "use_bdlora",
            "monteclora_config", "velora_config", "layer_replication", "trainable_token_indices", "target_parameters",
            "arrow_config", "ensure_weight_tying", "coft");
    /** Starts that rewrite the base model's weights, which an adapter's file does not hold. */
    private static final List<String> STARTS = List.of("pissa", "olora", "corda", "lora_ga", "loftq");

    private Unsupported() {}

    /**
     * The field for which the configuration must be refused.
     *
     * @param base the configuration of the model
     */
    static Optional<String> field(JsonNode config, JsonNode base) {
        // A tied head has no weight of its own that could be saved whole.
        boolean tied = base.path("tie_word_embeddings").asBoolean();
        if (tied && StreamSupport.stream(config.path("modules_to_save").spliterator(), false).anyMatch(n -> n.asText().equals("lm_head"))) {
            return Optional.of("modules_to_save");
        }
        for (String field : SWITCHES) {
            JsonNode v = config.path(field);
            if (v.isBoolean() ? v.booleanValue() : v.isContainerNode() && !v.isEmpty() || v.isNumber()) {
                return Optional.of(field);
            }
        }
        String start = config.path("init_lora_weights").asText();
        if (STARTS.stream().anyMatch(start::startsWith)) {
            return Optional.of("init_lora_weights");
        }
        boolean embedding = StreamSupport.stream(config.path("target_modules").spliterator(), false)
                .anyMatch(n -> n.asText().endsWith("embed_tokens") || n.asText().endsWith("wte")
                        || n.asText().endsWith("word_embeddings"));
        return embedding ? Optional.of("target_modules") : Optional.empty();
    }
}
