package dev.jotune.peft;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;

/** What of PEFT's configurations Jotune refuses by design, by field; everything else must match PEFT. */
final class Unsupported {
    /** Variants of LoRA that are methods of their own: any value that switches them on is refused. */
    private static final List<String> SWITCHES = List.of("kasa_config", "alora_invocation_tokens", "use_bdlora",
            "monteclora_config", "velora_config", "layer_replication", "arrow_config");
    /** Starts that rewrite the base model's weights, which an adapter's file does not hold. */
    private static final List<String> STARTS = List.of("pissa_niter", "corda", "lora_ga", "loftq");

    private Unsupported() {}

    /** The field for which the configuration must be refused. */
    static Optional<String> field(JsonNode config) {
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
        return Optional.empty();
    }
}
