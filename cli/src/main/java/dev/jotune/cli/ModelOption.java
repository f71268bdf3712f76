package dev.jotune.cli;

import dev.jotune.models.Models;
import dev.jotune.models.Quantization;
import dev.jotune.models.SequenceClassifier;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.kernels.Precision;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Which model. */
final class ModelOption {
    @Option(names = "--model", required = true, paramLabel = "MODEL",
            description = "A model folder as published on the Hugging Face hub (config.json, model.safetensors, "
                    + "tokenizer.json), a .gguf file, the OWNER/NAME of one fetched with 'jotune pull', or " + Models.EMBEDDED
                    + ", the model inside Jotune.")
    private String model;

    @Option(names = "--quantize", paramLabel = "FORMAT",
            description = "Hold the model's projections in fewer bits while they are frozen: nf4 (QLoRA), q8_0, q4_0, ...")
    private Optional<String> quantize = Optional.empty();

    @Option(names = "--precision", paramLabel = "NAME", defaultValue = "f32",
            description = "How products with the model's weights are computed: f32, or bf16, which rounds both operands to BF16 "
                    + "and sums in F32. What trains stays in F32. Default: ${DEFAULT-VALUE}.")
    private String precision;

    String name() {
        return model;
    }

    /** The format that weights are narrowed to, if one was asked for. */
    Optional<String> quantize() {
        return quantize;
    }

    Models.Loaded load(Backend backend) {
        // Said before the model is read, which takes long.
        precision();
        return prepared(Models.open(model, backend, DType.F32));
    }

    private Models.Loaded prepared(Models.Loaded loaded) {
        quantize.ifPresent(format -> Quantization.apply(loaded.backbone(), format));
        return loaded.withPrecision(precision());
    }

    /** Precision of products. */
    private Precision precision() {
        for (Precision p : Precision.values()) {
            if (p.name().toLowerCase(Locale.ROOT).equals(precision)) {
                return p;
            }
        }
        throw new UsageException("--precision: there is no '" + precision + "'. Precisions: f32, bf16");
    }

    /**
     * As a classifier of texts. A checkpoint that is one of as many classes, or of any number if none are asked for, is
     * taken as it is; any other encoder gets a fresh head.
     *
     * @param labels the classes by number; none: those of the checkpoint
     * @param seed of a fresh head
     */
    Models.Loaded classifier(Backend backend, List<String> labels, long seed) {
        Models.Loaded plain = load(backend);
        boolean ready = plain.backbone() instanceof SequenceClassifier c && (labels.isEmpty() || c.labels().size() == labels.size());
        if (ready) {
            return plain;
        }
        if (labels.isEmpty()) {
            throw new FailureException(model + " is no classifier, and no adapter says which classes there are. Name an adapter of a "
                    + "classifier with --adapter");
        }
        if (model.equals(Models.EMBEDDED)) {
            throw new UsageException("--model: " + model + " writes texts and cannot classify them. Give the folder of an encoder");
        }
        return prepared(Models.loadClassifier(Path.of(model), labels, seed, backend, DType.F32));
    }
}
