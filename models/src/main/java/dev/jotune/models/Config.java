package dev.jotune.models;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** A {@code config.json} read with care: every getter names the file and the field when something is off. */
public final class Config {
    private static final JsonMapper JSON = JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

    private final String origin;
    private final JsonNode node;

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

    public String origin() {
        return origin;
    }

    public boolean has(String field) {
        return node.hasNonNull(field);
    }

    /** Whether a field holds an object. */
    public boolean isObject(String field) {
        return node.path(field).isObject();
    }

    /** A nested object; empty where the field is absent or null. */
    public Config child(String field) {
        JsonNode n = node.get(field);
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
        JsonNode n = node.get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isIntegralNumber() || !n.canConvertToInt() || n.intValue() <= 0) {
            throw wrong(field, n, "a positive integer");
        }
        return n.intValue();
    }

    public double number(String field, double otherwise) {
        JsonNode n = node.get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isNumber() || !Double.isFinite(n.doubleValue())) {
            throw wrong(field, n, "a number");
        }
        return n.doubleValue();
    }

    public boolean flag(String field, boolean otherwise) {
        JsonNode n = node.get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isBoolean()) {
            throw wrong(field, n, "true or false");
        }
        return n.booleanValue();
    }

    public String text(String field, String otherwise) {
        JsonNode n = node.get(field);
        if (n == null || n.isNull()) {
            return otherwise;
        }
        if (!n.isTextual()) {
            throw wrong(field, n, "a text");
        }
        return n.textValue();
    }

    /** An integer or a list of integers; empty where absent. */
    public int[] ids(String field) {
        JsonNode n = node.get(field);
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

    /** A list of numbers; empty where absent. */
    public double[] numbers(String field) {
        JsonNode n = node.get(field);
        if (n == null || n.isNull()) {
            return new double[0];
        }
        if (!n.isArray()) {
            throw wrong(field, n, "a list of numbers");
        }
        double[] out = new double[n.size()];
        for (int i = 0; i < out.length; i++) {
            if (!n.get(i).isNumber() || !Double.isFinite(n.get(i).doubleValue())) {
                throw wrong(field, n, "a list of numbers");
            }
            out[i] = n.get(i).doubleValue();
        }
        return out;
    }

    private ModelException wrong(String field, JsonNode value, String expected) {
        String shown = value.toString();
        return new ModelException(origin + ": '" + field + "' is " + (shown.length() > 60 ? shown.substring(0, 60) + "..." : shown)
                + ", expected " + expected + ".");
    }
}
