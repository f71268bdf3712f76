package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.Quantization;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Which model. */
final class ModelOption {
    @Option(names = "--model", required = true, paramLabel = "DIR",
            description = "A model folder as published on the Hugging Face hub (config.json, model.safetensors, "
                    + "tokenizer.json), a .gguf file, or " + Models.EMBEDDED + ", the model inside Jotune.")
    private String model;

    @Option(names = "--quantize", paramLabel = "FORMAT",
            description = "Hold the model's projections in fewer bits while they are frozen: nf4 (QLoRA), q8_0, q4_0, ...")
    private Optional<String> quantize = Optional.empty();

    String name() {
        return model;
    }

    /** The format that weights are narrowed to, if one was asked for. */
    Optional<String> quantize() {
        return quantize;
    }

    Models.Loaded load(Backend backend) {
        Models.Loaded loaded = Models.open(model, backend, DType.F32);
        quantize.ifPresent(format -> Quantization.apply(loaded.backbone(), format));
        return loaded;
    }
}
