package dev.jotune.models;

import dev.jotune.models.bart.Bart;
import dev.jotune.models.bart.BartConfig;
import dev.jotune.models.bert.Bert;
import dev.jotune.models.deberta.Deberta;
import dev.jotune.models.head.Fresh;
import dev.jotune.models.llama.Llama;
import dev.jotune.models.llama.LlamaConfig;
import dev.jotune.models.t5.T5;
import dev.jotune.models.t5.T5Config;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.List;
import java.util.Optional;

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
            case "bert", "roberta", "distilbert" -> Bert.build(config, source, backend, computeType, Optional.empty());
            case "deberta-v2" -> Deberta.build(config, source, backend, computeType, Optional.empty());
            case "llama" -> new Llama(LlamaConfig.read(config), source, backend, computeType);
            case "t5" -> new T5(T5Config.read(config, source), source, backend, computeType);
            case "bart" -> new Bart(BartConfig.read(config), source, backend, computeType);
            case "" -> throw new ModelException(config.origin() + " lacks the field 'model_type'.");
            default -> throw new ModelException(config.origin() + ": model_type '" + type + "' is not supported. Supported: llama, t5, bart, "
                    + "bert, roberta, distilbert, deberta-v2.");
        };
    }

    /**
     * A classifier of texts, whatever the checkpoint was made for: what its head lacks begins at random.
     *
     * @param labels the classes by number
     * @param seed of the start
     * @throws ModelException naming what is missing or not supported
     */
    public static SequenceClassifier classifier(Config config, Weights.Source source, Backend backend, DType computeType,
            List<String> labels, long seed) {
        String type = config.text("model_type", "");
        Optional<Fresh> fresh = Optional.of(new Fresh(labels, seed));
        Encoder model = switch (type) {
            case "bert", "roberta", "distilbert" -> Bert.build(config, source, backend, computeType, fresh);
            case "deberta-v2" -> Deberta.build(config, source, backend, computeType, fresh);
            default -> throw new ModelException(config.origin() + ": a classifier cannot be put on model_type '" + type
                    + "'. Supported: bert, roberta, distilbert, deberta-v2.");
        };
        return model.as(SequenceClassifier.class);
    }
}
