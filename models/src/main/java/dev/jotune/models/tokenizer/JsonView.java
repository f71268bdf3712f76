package dev.jotune.models.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;

/** A JSON value that knows where it stands, so that every complaint names the file and the path within it. */
record JsonView(JsonNode node, String origin, String path) {

    private static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    static JsonView parse(String json, String origin) {
        try {
            JsonNode root = MAPPER.readTree(json);
            if (root == null || !root.isObject()) {
                throw new TokenizerException(origin + ": the file does not hold a JSON object. "
                        + "Give the tokenizer.json of a Hugging Face tokenizer.");
            }
            return new JsonView(root, origin, "");
        } catch (JsonProcessingException e) {
            throw new TokenizerException(origin + ": the file is not valid JSON (" + e.getOriginalMessage()
                    + "). Fetch it again or repair it.", e);
        }
    }

    TokenizerException error(String what) {
        return new TokenizerException(origin + ": " + (path.isEmpty() ? "" : path + " ") + what);
    }

    /** Refuses a component type that this package does not know. */
    TokenizerException unsupported(String type, String supported) {
        return error("type '" + type + "' is not supported; supported are " + supported + ".");
    }

    boolean has(String name) {
        JsonNode child = node.get(name);
        return child != null && !child.isNull();
    }

    JsonView field(String name) {
        requireObject();
        JsonNode child = node.get(name);
        if (child == null || child.isNull()) {
            throw error("has no '" + name + "'. Add it or use a complete file.");
        }
        return new JsonView(child, origin, path.isEmpty() ? name : path + "." + name);
    }

    Optional<JsonView> optional(String name) {
        requireObject();
        return has(name) ? Optional.of(field(name)) : Optional.empty();
    }

    List<JsonView> elements() {
        if (!node.isArray()) {
            throw wrongKind("an array");
        }
        List<JsonView> views = new ArrayList<>(node.size());
        for (int i = 0; i < node.size(); i++) {
            views.add(new JsonView(node.get(i), origin, path + "[" + i + "]"));
        }
        return views;
    }

    void forEachField(BiConsumer<String, JsonView> action) {
        requireObject();
        for (Map.Entry<String, JsonNode> entry : node.properties()) {
            action.accept(entry.getKey(), new JsonView(entry.getValue(), origin, path + "['" + entry.getKey() + "']"));
        }
    }

    void requireObject() {
        if (!node.isObject()) {
            throw wrongKind("an object");
        }
    }

    String text() {
        if (!node.isTextual()) {
            throw wrongKind("a string");
        }
        return node.textValue();
    }

    /** A string of exactly one code point. */
    int codePoint() {
        String text = text();
        if (text.isEmpty() || text.codePointCount(0, text.length()) != 1) {
            throw error("is '" + text + "', not a single character. Give one character.");
        }
        return text.codePointAt(0);
    }

    /** Refuses tokens so long that looking for them would cost too much. */
    void requireShortToken(String token) {
        if (token.length() > TokenTrie.LONGEST) {
            throw error("has a token of " + token.length() + " characters. A token has at most " + TokenTrie.LONGEST
                    + ".");
        }
    }

    /** A whole number from 0 to 2^31 - 1. */
    int natural() {
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.intValue() < 0) {
            throw error("is " + shown() + ", not a whole number from 0 to 2147483647. Correct the number.");
        }
        return node.intValue();
    }

    double number() {
        if (!node.isNumber()) {
            throw wrongKind("a number");
        }
        return node.doubleValue();
    }

    boolean bool() {
        if (!node.isBoolean()) {
            throw wrongKind("true or false");
        }
        return node.booleanValue();
    }

    boolean bool(String name, boolean otherwise) {
        return optional(name).map(JsonView::bool).orElse(otherwise);
    }

    String text(String name, String otherwise) {
        return optional(name).map(JsonView::text).orElse(otherwise);
    }

    int natural(String name, int otherwise) {
        return optional(name).map(JsonView::natural).orElse(otherwise);
    }

    private TokenizerException wrongKind(String wanted) {
        return error("is " + shown() + ", not " + wanted + ". Correct the file.");
    }

    private String shown() {
        if (node.isContainerNode()) {
            return node.isArray() ? "an array" : "an object";
        }
        String text = node.toString();
        return text.length() > 60 ? text.substring(0, 60) + "..." : text;
    }
}
