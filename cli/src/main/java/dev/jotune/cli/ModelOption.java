package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import picocli.CommandLine.Option;

/** Which model. */
final class ModelOption {
    @Option(names = "--model", required = true, paramLabel = "DIR",
            description = "A model folder as published on the Hugging Face hub (config.json, model.safetensors, "
                    + "tokenizer.json), or " + Models.EMBEDDED + ", the model inside Jotune.")
    private String model;

    String name() {
        return model;
    }

    Models.Loaded load(Backend backend) {
        return Models.open(model, backend, DType.F32);
    }
}
