package dev.jotune.models;

import static java.util.Map.entry;

import dev.jotune.models.ast.Ast;
import dev.jotune.models.ast.AstConfig;
import dev.jotune.models.bart.Bart;
import dev.jotune.models.bart.BartConfig;
import dev.jotune.models.bert.Bert;
import dev.jotune.models.clip.Clip;
import dev.jotune.models.clip.ClipConfig;
import dev.jotune.models.clip.ClipText;
import dev.jotune.models.clip.ClipVision;
import dev.jotune.models.deberta.Deberta;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.decoder.Families;
import dev.jotune.models.gpt2.Gpt2;
import dev.jotune.models.gpt2.Gpt2Config;
import dev.jotune.models.head.Fresh;
import dev.jotune.models.mamba.Mamba;
import dev.jotune.models.mamba.MambaConfig;
import dev.jotune.models.t5.T5;
import dev.jotune.models.t5.T5Config;
import dev.jotune.models.ttm.Ttm;
import dev.jotune.models.ttm.TtmConfig;
import dev.jotune.models.vit.ViT;
import dev.jotune.models.vit.ViTConfig;
import dev.jotune.models.whisper.Whisper;
import dev.jotune.models.whisper.WhisperConfig;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Which class reads which {@code model_type}. */
public final class Architectures {
    /** How a family's model is made of its configuration and weights. */
    private interface Builder {
        Backbone build(Config config, Weights.Source source, Backend backend, DType computeType);
    }

    private static final Map<String, Builder> FAMILIES = families(Map.ofEntries(
            entry("audio-spectrogram-transformer", (c, s, b, t) -> Ast.load(AstConfig.read(c), s, b, t)),
            entry("bart", (c, s, b, t) -> new Bart(BartConfig.read(c, s), s, b, t)),
            entry("bert", (c, s, b, t) -> Bert.build(c, s, b, t, Optional.empty())),
            entry("clip", (c, s, b, t) -> new Clip(ClipConfig.read(c), s, b, t)),
            entry("clip_text_model", (c, s, b, t) -> ClipText.load(ClipConfig.Text.read(c), s, b, t)),
            entry("clip_vision_model", (c, s, b, t) -> ClipVision.load(ClipConfig.Vision.read(c), s, b, t)),
            entry("deberta-v2", (c, s, b, t) -> Deberta.build(c, s, b, t, Optional.empty())),
            entry("distilbert", (c, s, b, t) -> Bert.build(c, s, b, t, Optional.empty())),
            entry("gpt2", (c, s, b, t) -> new Gpt2(Gpt2Config.read(c), s, b, t)),
            entry("mamba", (c, s, b, t) -> new Mamba(MambaConfig.read(c), s, b, t)),
            entry("roberta", (c, s, b, t) -> Bert.build(c, s, b, t, Optional.empty())),
            entry("t5", (c, s, b, t) -> new T5(T5Config.read(c, s), s, b, t)),
            entry("tinytimemixer", (c, s, b, t) -> new Ttm(TtmConfig.read(c), s, b, t)),
            entry("vit", (c, s, b, t) -> ViT.load(ViTConfig.read(c), s, b, t)),
            entry("whisper", (c, s, b, t) -> new Whisper(WhisperConfig.read(c, s), s, b, t))));

    private Architectures() {}

    /** The given ones and every decoder that is a mapping of options. */
    private static Map<String, Builder> families(Map<String, Builder> others) {
        Map<String, Builder> all = new TreeMap<>(others);
        Families.names().forEach(name -> all.put(name, (c, s, b, t) -> new Decoder(Families.read(c), s, b, t)));
        return Collections.unmodifiableMap(all);
    }

    /** Every {@code model_type} that can be read, in alphabetical order. */
    public static Set<String> modelTypes() {
        return FAMILIES.keySet();
    }

    /**
     * The model of a configuration; families are told apart by {@code model_type}.
     *
     * @param computeType F32, or F64 on the reference backend
     * @throws ModelException naming what is missing or not supported
     */
    public static Backbone build(Config config, Weights.Source source, Backend backend, DType computeType) {
        String type = config.text("model_type", "");
        if (type.isEmpty()) {
            throw new ModelException(config.origin() + " lacks the field 'model_type'. It names the model's family; supported are "
                    + String.join(", ", modelTypes()) + ".");
        }
        Builder builder = FAMILIES.get(type);
        if (builder == null) {
            throw new ModelException(config.origin() + ": model_type '" + type + "' is not supported. Supported: "
                    + String.join(", ", modelTypes()) + ".");
        }
        return builder.build(config, source, backend, computeType);
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

    /** What transformers calls the class of a family's classifiers of texts: {@code architectures} of a configuration. */
    public static String classifierName(String modelType) {
        return switch (modelType) {
            case "bert" -> "BertForSequenceClassification";
            case "roberta" -> "RobertaForSequenceClassification";
            case "distilbert" -> "DistilBertForSequenceClassification";
            case "deberta-v2" -> "DebertaV2ForSequenceClassification";
            default -> throw new ModelException("a " + modelType + " model has no classifier of texts.");
        };
    }
}
