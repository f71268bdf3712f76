package dev.jotune.peft;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Between a method's record and the text of {@code adapter_config.json}. A field that is not a component of the record
 * is accepted only with a value that changes nothing; otherwise the adapter is refused, naming the field.
 */
final class AdapterConfig {
    /** Fields that say nothing about the mathematics. */
    private static final Set<String> IGNORED = Set.of("peft_type", "task_type", "auto_mapping", "peft_version",
            "base_model_name_or_path", "revision", "inference_mode", "megatron_core", "megatron_config", "runtime_config",
            "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size",
            "num_transformer_submodules", "num_attention_heads", "num_layers", "token_dim", "tokenizer_kwargs",
            // PEFT reads this flag for quantised layers alone.
            "use_qalora",
            // How the base stores its weights; the model itself says so, and PEFT corrects the flag to that.
            "fan_in_fan_out");

    /** Lists that mean something else empty than absent. */
    private static final Set<String> MEANT = Set.of("target_modules", "feedforward_modules");

    /** Fields that a method shares with another and that PEFT does not read for it, by {@code peft_type}. */
    private static final Map<String, Set<String>> UNREAD = Map.of("ADALORA", Set.of("use_rslora", "alpha_pattern", "lora_bias"));

    private static final JsonMapper JSON = JsonMapper.builder()
            .addModule(new Jdk8Module())
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .serializationInclusion(JsonInclude.Include.ALWAYS)
            .build();

    private AdapterConfig() {}

    /** Hyper-parameters from the text of a file. */
    static TuningMethod read(String text, String origin) {
        try {
            JsonNode root = JSON.readTree(text);
            if (root == null || !root.isObject()) {
                throw new AdapterException(origin + " does not hold a JSON object. Save the adapter again.");
            }
            if (!root.path("peft_type").isTextual()) {
                throw new AdapterException(origin + " lacks the field 'peft_type'. It is not an adapter's configuration.");
            }
            MethodInfo info = Methods.ofType(root.get("peft_type").textValue());
            return merged(info, (ObjectNode) root, origin);
        } catch (JsonProcessingException e) {
            throw new AdapterException(origin + " is not valid JSON: " + e.getOriginalMessage() + ". Save the adapter again.", e);
        }
    }

    /** A method's defaults with some fields set, under PEFT's names. */
    static TuningMethod with(MethodInfo info, Map<String, ?> fields) {
        return merged(info, JSON.valueToTree(fields), "options of " + info.name());
    }

    private static TuningMethod merged(MethodInfo info, ObjectNode given, String origin) {
        ObjectNode node = JSON.valueToTree(info.defaults());
        given.properties().forEach(e -> {
            if (node.has(e.getKey()) && holdsNull(e.getValue())) {
                throw new AdapterException(origin + ": '" + e.getKey() + "' = " + shown(e.getValue())
                        + " holds a null. Leave it out.");
            }
            if (node.has(e.getKey())) {
                if (!e.getValue().isNull()) {
                    node.set(e.getKey(), normalised(info.peftType(), e.getKey(), e.getValue()));
                }
            } else if (!IGNORED.contains(e.getKey()) && !isNeutral(e.getValue())
                    && !UNREAD.getOrDefault(info.peftType(), Set.of()).contains(e.getKey())) {
                throw new AdapterException(origin + ": '" + e.getKey() + "' = " + shown(e.getValue())
                        + " is not supported for " + info.peftType() + ".");
            }
        });
        try {
            return JSON.treeToValue(node, info.defaults().getClass());
        } catch (JsonProcessingException e) {
            String field = e instanceof JsonMappingException m && !m.getPath().isEmpty() ? m.getPath().getFirst().getFieldName() : "";
            String why = e.getCause() instanceof AdapterException a ? a.getMessage()
                    : "It must be of the kind of " + shown(JSON.valueToTree(info.defaults()).path(field)) + ".";
            throw new AdapterException(origin + ": '" + field + "' = " + shown(node.path(field)) + " cannot be read. " + why, e);
        }
    }

    /** A value for a message: not longer than one can read, and without control characters. */
    private static String shown(JsonNode v) {
        String text = v.toString().replaceAll("\\p{C}", "?");
        return text.length() > 80 ? text.substring(0, 80) + "..." : text;
    }

    private static boolean holdsNull(JsonNode v) {
        for (JsonNode element : v) {
            if (element.isNull()) {
                return true;
            }
        }
        return false;
    }

    /** PEFT writes a single number or text where a list is meant, and AdaLoRA takes LoRA's words for a start as yes. */
    private static JsonNode normalised(String type, String field, JsonNode v) {
        if (field.equals("init_lora_weights") && type.equals("ADALORA") && v.isTextual()) {
            return BooleanNode.TRUE;
        }
        boolean list = field.equals("layers_to_transform") || field.equals("layers_pattern") || field.equals("modules_to_save");
        return list && !v.isArray() ? JSON.createArrayNode().add(v) : v;
    }

    private static boolean isNeutral(JsonNode v) {
        return v.isNull() || v.isBoolean() && !v.booleanValue() || v.isContainerNode() && v.isEmpty()
                || v.isTextual() && v.textValue().isEmpty();
    }

    /** The text PEFT would write: indent 2, keys sorted; absent options and empty lists as null. */
    static String write(TuningMethod method, Map<String, ?> extra) {
        ObjectNode node = JSON.valueToTree(method);
        Map<String, JsonNode> sorted = new TreeMap<>();
        node.properties().forEach(e -> sorted.put(e.getKey(), e.getValue().isArray() && e.getValue().isEmpty() && !MEANT.contains(e.getKey())
                ? JSON.nullNode() : e.getValue()));
        extra.forEach((k, v) -> sorted.put(k, JSON.valueToTree(v)));
        sorted.put("peft_type", JSON.valueToTree(method.peftType()));
        sorted.putIfAbsent("task_type", JSON.nullNode());
        sorted.put("inference_mode", JSON.valueToTree(true));
        sorted.putIfAbsent("base_model_name_or_path", JSON.nullNode());
        sorted.put("auto_mapping", JSON.nullNode());
        sorted.put("revision", JSON.nullNode());
        ObjectNode out = JSON.createObjectNode();
        sorted.forEach(out::set);
        DefaultIndenter indent = new DefaultIndenter("  ", "\n");
        try {
            return JSON.writer(new DefaultPrettyPrinter(Separators.createDefaultInstance()
                    .withObjectFieldValueSpacing(Separators.Spacing.AFTER)).withObjectIndenter(indent).withArrayIndenter(indent))
                    .writeValueAsString(out);
        } catch (JsonProcessingException e) {
            throw new AdapterException("cannot write the configuration of " + method + ": " + e.getMessage(), e);
        }
    }
}
