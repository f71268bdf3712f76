package dev.jotune.models;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.StreamSupport;

/** A {@code config.json} read with care: every getter names the file and the field when something is off. */
public final class Config {
    private static final JsonMapper JSON = JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    /** Fields that say nothing about what a trained model computes. */
    private static final Set<String> HARMLESS = Set.of("_name_or_path", "_attn_implementation", "architectures", "attn_implementation",
            "attention_dropout", "attention_probs_dropout_prob", "auto_map", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward",
            "classifier_dropout", "decoder_start_token_id", "dropout", "dtype", "embedding_dropout", "embd_pdrop", "eos_token_id",
            "finetuning_task", "forced_bos_token_id", "forced_decoder_ids", "forced_eos_token_id", "gradient_checkpointing",
            "hidden_dropout", "hidden_dropout_prob", "id2label", "initializer_factor", "initializer_range", "is_decoder",
            "label2id", "max_length", "model_type", "num_labels", "output_attentions", "output_hidden_states", "pad_token_id", "prefix",
            "pretraining_tp", "problem_type", "resid_pdrop", "return_dict", "sep_token_id", "suppress_tokens", "task_specific_params",
            "tokenizer_class", "torch_dtype", "torchscript", "transformers_version", "use_cache", "cls_token_id", "mask_token_id",
            "tf_legacy_loss", "use_bfloat16", "pruned_heads", "early_stopping", "num_beams", "length_penalty",
            "no_repeat_ngram_size", "min_length", "do_sample", "temperature", "top_k", "top_p", "repetition_penalty",
            "num_return_sequences", "remove_invalid_values", "num_beam_groups", "diversity_penalty", "typical_p",
            "encoder_no_repeat_ngram_size", "bad_words_ids", "exponential_decay_length_penalty", "output_scores",
            "return_dict_in_generate");

    private final String origin;
    private final JsonNode node;
    /** Fields that somebody asked for. */
    private final Set<String> read = new HashSet<>();

    private Config(String origin, JsonNode node) {
        this.origin = origin;
        this.node = node;
    }

    /** @throws ModelException if the file is missing or is not a JSON object */
    public static Config read(Path file) {
        try {
            return parse(Files.readString(file), file.toString());
        } catch (NoSuchFileException e) {
            throw new ModelException("there is no file " + file + ". A model folder needs config.json, "
                    + "model.safetensors and tokenizer.json as published on the Hugging Face hub.", e);
        } catch (IOException e) {
            throw new ModelException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    /** @param origin where the text is from, for messages */
    public static Config parse(String text, String origin) {
        try {
            JsonNode n = JSON.readTree(text);
            if (n == null || !n.isObject()) {
                throw new ModelException(origin + " does not hold a JSON object. Download the file again.");
            }
            return new Config(origin, n);
        } catch (JsonProcessingException e) {
            throw new ModelException(origin + " is not valid JSON: " + e.getOriginalMessage() + ". Download the file again.", e);
        }
    }

    /** The objects of a file that holds a list of them. */
    static List<Config> readList(Path file) {
        try {
            JsonNode n = JSON.readTree(Files.readString(file));
            if (n == null || !n.isArray() || !n.valueStream().allMatch(JsonNode::isObject)) {
                throw new ModelException(file + " does not hold a JSON list of objects. Download the file again.");
            }
            return n.valueStream().map(o -> new Config(file.toString(), o)).toList();
        } catch (JsonProcessingException e) {
            throw new ModelException(file + " is not valid JSON: " + e.getOriginalMessage() + ". Download the file again.", e);
        } catch (IOException e) {
            throw new ModelException("cannot read " + file + ": " + e.getMessage(), e);
        }
    }

    public String origin() {
        return origin;
    }

    private JsonNode get(String field) {
        read.add(field);
        return node.get(field);
    }

    /**
     * Refuses what nobody asked for: a field that is not known may change what the model computes. Fields that are
     * null, false, empty, or known to leave the computation alone are passed over. Call when all has been read.
     *
     * @param alsoHarmless further fields that leave this family's computation alone
     * @throws ModelException naming the fields
     */
    public void finish(Set<String> alsoHarmless) {
        List<String> unknown = node.properties().stream().filter(e -> !isOff(e.getValue())).map(Map.Entry::getKey)
                .filter(f -> !read.contains(f) && !HARMLESS.contains(f) && !alsoHarmless.contains(f)).sorted().toList();
        if (!unknown.isEmpty()) {
            throw new ModelException(origin + " has fields that Jotune does not know: " + String.join(", ", unknown)
                    + ". They may change what the model computes. If you are sure that they do not, take them out of the file.");
        }
    }

    private static boolean isOff(JsonNode n) {
        return n.isNull() || n.isBoolean() && !n.booleanValue() || n.isContainerNode() && n.isEmpty();
    }

    /** A list of texts; empty where absent. */
    public List<String> texts(String field) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return List.of();
        }
        boolean texts = n.isArray() && StreamSupport.stream(n.spliterator(), false).allMatch(JsonNode::isTextual);
        if (!texts) {
            throw wrong(field, n, "a list of texts");
        }
        return StreamSupport.stream(n.spliterator(), false).map(JsonNode::textValue).toList();
    }

    /** A list of numbers; empty where absent. */
    public double[] numbers(String field) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return new double[0];
        }
        boolean numbers = n.isArray() && StreamSupport.stream(n.spliterator(), false).allMatch(JsonNode::isNumber);
        if (!numbers) {
            throw wrong(field, n, "a list of numbers");
        }
        return StreamSupport.stream(n.spliterator(), false).mapToDouble(JsonNode::doubleValue).toArray();
    }

    /** The fields of this object, in the file's order. */
    public List<String> fields() {
        return node.properties().stream().map(Map.Entry::getKey).toList();
    }

    public boolean has(String field) {
        return get(field) != null && !get(field).isNull();
    }

    /** Whether a field holds an object. */
    public boolean isObject(String field) {
        JsonNode n = get(field);
        return n != null && n.isObject();
    }

    /** Whether the field is there at all, be it null. */
    public boolean mentions(String field) {
        read.add(field);
        return node.has(field);
    }

    /** A nested object; empty where the field is absent or null. */
    public Config child(String field) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return new Config(origin + " " + field, JSON.createObjectNode());
        }
        if (!n.isObject()) {
            throw wrong(field, n, "an object");
        }
        return new Config(origin + " " + field, n);
    }

    /** A positive integer that must be there. */
    public int size(String field) {
        if (!has(field)) {
            throw new ModelException(origin + " lacks the field '" + field + "'. It must be a positive integer.");
        }
        return size(field, 0);
    }

    /** A positive integer. */
    public int size(String field, int otherwise) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isIntegralNumber() || !n.canConvertToInt() || n.intValue() <= 0) {
            throw wrong(field, n, "a positive integer");
        }
        return n.intValue();
    }

    /** An integer of at least 0. */
    public int count(String field, int otherwise) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isIntegralNumber() || !n.canConvertToInt() || n.intValue() < 0) {
            throw wrong(field, n, "an integer of at least 0");
        }
        return n.intValue();
    }

    public double number(String field, double otherwise) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isNumber() || !Double.isFinite(n.doubleValue())) {
            throw wrong(field, n, "a number");
        }
        return n.doubleValue();
    }

    public boolean flag(String field, boolean otherwise) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isBoolean()) {
            throw wrong(field, n, "true or false");
        }
        return n.booleanValue();
    }

    public String text(String field, String otherwise) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isTextual()) {
            throw wrong(field, n, "a text");
        }
        return n.textValue();
    }

    /** Whether the field is there and is a text, where a field may be a text or something else. */
    public boolean isText(String field) {
        JsonNode n = get(field);
        return n != null && n.isTextual();
    }

    /** An integer, of either sign. */
    public int integer(String field, int otherwise) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isIntegralNumber() || !n.canConvertToInt()) {
            throw wrong(field, n, "an integer");
        }
        return n.intValue();
    }

    /** An integer or a list of integers; empty where absent. */
    public int[] ids(String field) {
        JsonNode n = get(field);
        if (n == null || n.isNull()) {
            return new int[0];
        }
        if (n.canConvertToInt() && n.isIntegralNumber()) {
            return new int[] {n.intValue()};
        }
        if (!n.isArray()) {
            throw wrong(field, n, "an integer or a list of integers");
        }
        int[] out = new int[n.size()];
        for (int i = 0; i < out.length; i++) {
            if (!n.get(i).isIntegralNumber() || !n.get(i).canConvertToInt()) {
                throw wrong(field, n, "an integer or a list of integers");
            }
            out[i] = n.get(i).intValue();
        }
        return out;
    }

    private ModelException wrong(String field, JsonNode value, String expected) {
        String shown = value.toString();
        return new ModelException(origin + ": '" + field + "' is " + (shown.length() > 60 ? shown.substring(0, 60) + "..." : shown)
                + ", expected " + expected + ".");
    }
}
