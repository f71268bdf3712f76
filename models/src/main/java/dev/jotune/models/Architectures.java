package dev.jotune.models;

import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.decoder.Families;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;

/** Which class reads which {@code model_type}. */
public final class Architectures {
    private Architectures() {}

    /**
     * The model of a configuration; families are told apart by {@code model_type}.
     *
     * @param computeType F32, or F64 on the reference backend
     * @throws ModelException naming what is missing or not supported
     */
    public static Backbone build(Config config, Weights.Source source, Backend backend, DType computeType) {
        String type = config.text("model_type", "");
        return switch (type) {
            case "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "phi3", "olmo2", "mixtral", "qwen2_moe" ->
                    new Decoder(Families.read(config), source, backend, computeType);
            case "" -> throw new ModelException(config.origin() + " lacks the field 'model_type'.");
            default -> throw new ModelException(config.origin() + ": model_type '" + type
                    + "' is not supported. Supported: " + String.join(", ", Families.names()) + ".");
        };
    }
}
