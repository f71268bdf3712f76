package dev.jotune.models;

import dev.jotune.models.bart.Bart;
import dev.jotune.models.bart.BartConfig;
import dev.jotune.models.llama.Llama;
import dev.jotune.models.llama.LlamaConfig;
import dev.jotune.models.t5.T5;
import dev.jotune.models.t5.T5Config;
import dev.jotune.models.mamba.Mamba;
import dev.jotune.models.mamba.MambaConfig;
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
            case "llama" -> new Llama(LlamaConfig.read(config), source, backend, computeType);
            case "t5" -> new T5(T5Config.read(config, source), source, backend, computeType);
            case "bart" -> new Bart(BartConfig.read(config), source, backend, computeType);
            case "mamba" -> new Mamba(MambaConfig.read(config), source, backend, computeType);
            case "" -> throw new ModelException(config.origin() + " lacks the field 'model_type'.");
            default -> throw new ModelException(config.origin() + ": model_type '" + type + "' is not supported. Supported: llama, t5, bart, mamba.");
        };
    }
}
