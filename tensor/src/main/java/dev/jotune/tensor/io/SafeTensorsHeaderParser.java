package dev.jotune.tensor.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.SequencedMap;

/**
 * Reads the JSON of a safetensors header token by token: a header may have a hundred megabytes, and a tree of it
 * many times that.
 */
final class SafeTensorsHeaderParser {

    static final String METADATA_KEY = "__metadata__";

    /** The reference library's JSON reader stops at this depth too. */
    private static final int DEEPEST = 128;
    private static final String REMEDY = SafeTensorsHeader.DOWNLOAD_AGAIN;

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            // Names come once each, and a hostile file should not fill a table that outlives it.
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(DEEPEST)
                    .maxStringLength((int) SafeTensorsHeader.LIMIT)
                    .build())
            .build();

    private final Path file;
    private final SequencedMap<String, SafeTensorsHeader.Entry> entries = new LinkedHashMap<>();
    private final SequencedMap<String, String> metadata = new LinkedHashMap<>();

    SafeTensorsHeaderParser(Path file) {
        this.file = file;
    }

    /** What the JSON says, each entry checked by itself. */
    record Parsed(SequencedMap<String, SafeTensorsHeader.Entry> entries, SequencedMap<String, String> metadata) {
    }

    Parsed parse(String text) {
        try (JsonParser json = JSON.createParser(text)) {
            if (json.nextToken() != JsonToken.START_OBJECT) {
                throw fault("the header is not a JSON object");
            }
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String name = checkText(json.currentName(), "a tensor name");
                json.nextToken();
                if (name.equals(METADATA_KEY)) {
                    readMetadata(json);
                } else {
                    entries.put(name, readEntry(json, name));
                }
            }
            if (json.nextToken() != null) {
                throw fault("there is text after the header's JSON object");
            }
            return new Parsed(entries, metadata);
        } catch (JsonProcessingException e) {
            throw new FormatException(file, "the header is not valid JSON ("
                    + firstLine(e.getOriginalMessage()) + ")", REMEDY, e);
        } catch (IOException e) {
            throw new IllegalStateException("Reading from a string failed. This is a bug, please report it.", e);
        }
    }

    private void readMetadata(JsonParser json) throws IOException {
        if (json.currentToken() != JsonToken.START_OBJECT) {
            throw fault(METADATA_KEY + " is not an object of texts");
        }
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String key = checkText(json.currentName(), "a metadata key");
            if (json.nextToken() != JsonToken.VALUE_STRING) {
                throw fault("the metadata value of " + FormatException.quote(key) + " is not a text");
            }
            metadata.put(key, checkText(json.getText(), "a metadata value"));
        }
    }

    private SafeTensorsHeader.Entry readEntry(JsonParser json, String name) throws IOException {
        String where = "tensor " + FormatException.quote(name);
        if (json.currentToken() != JsonToken.START_OBJECT) {
            throw fault(where + " is not described by an object");
        }
        StoredType type = null;
        long[] shape = null;
        long[] offsets = null;
        while (json.nextToken() == JsonToken.FIELD_NAME) {
            String key = json.currentName();
            json.nextToken();
            switch (key) {
                case "dtype" -> type = readType(json, where);
                case "shape" -> shape = readSizes(json, where + ": shape");
                case "data_offsets" -> offsets = readSizes(json, where + ": data_offsets");
                default -> json.skipChildren();
            }
        }
        if (type == null || shape == null || offsets == null) {
            throw fault(where + " has no " + (type == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
        }
        return checkEntry(where, type, shape, offsets);
    }

    private SafeTensorsHeader.Entry checkEntry(String where, StoredType type, long[] shape, long[] offsets) {
        if (offsets.length != 2) {
            throw fault(where + " has " + offsets.length + " data_offsets instead of 2");
        }
        if (offsets[0] > offsets[1]) {
            throw fault(where + " ends at byte " + offsets[1] + ", before it begins at byte " + offsets[0]);
        }
        long expected;
        try {
            expected = type.byteSize(shape);
        } catch (ArithmeticException e) {
            throw fault(where + ": " + e.getMessage());
        }
        if (offsets[1] - offsets[0] != expected) {
            String text = shape.length > 16 ? " with " + shape.length + " axes" : " " + Arrays.toString(shape);
            throw fault(where + ": " + type + text + " takes " + expected + " bytes, but its data_offsets span "
                    + (offsets[1] - offsets[0]));
        }
        return new SafeTensorsHeader.Entry(type, shape, offsets[0], offsets[1]);
    }

    private StoredType readType(JsonParser json, String where) throws IOException {
        if (json.currentToken() != JsonToken.VALUE_STRING) {
            throw fault(where + ": dtype is not a text");
        }
        String text = json.getText();
        return StoredType.named(text).orElseThrow(() -> new FormatException(file,
                where + ": the dtype " + FormatException.quote(text) + " is unknown",
                "Known are " + Arrays.toString(StoredType.values()) + "; convert the tensor to one of them."));
    }

    private long[] readSizes(JsonParser json, String where) throws IOException {
        if (json.currentToken() != JsonToken.START_ARRAY) {
            throw fault(where + " is not an array");
        }
        long[] sizes = new long[8];
        int count = 0;
        while (json.nextToken() != JsonToken.END_ARRAY) {
            if (json.currentToken() != JsonToken.VALUE_NUMBER_INT) {
                throw fault(where + " holds something that is not a whole number");
            }
            if (json.getText().charAt(0) == '-') {
                throw fault(where + " holds the negative number " + FormatException.quote(json.getText()));
            }
            if (json.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
                throw fault(where + " holds " + FormatException.quote(json.getText())
                        + ", which does not fit into 63 bits");
            }
            if (count == sizes.length) {
                sizes = Arrays.copyOf(sizes, 2 * count);
            }
            sizes[count++] = json.getLongValue();
        }
        return Arrays.copyOf(sizes, count);
    }

    /** JSON escapes can spell half a surrogate pair, which is no character and could not be written again. */
    private String checkText(String text, String what) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (Character.isHighSurrogate(c) && i + 1 < text.length()
                    && Character.isLowSurrogate(text.charAt(i + 1))) {
                i++;
            } else if (Character.isSurrogate(c)) {
                throw fault(what + " holds half a surrogate pair: " + FormatException.quote(text));
            }
        }
        return text;
    }

    private FormatException fault(String what) {
        return new FormatException(file, what, REMEDY);
    }

    private static String firstLine(String message) {
        int end = message.indexOf('\n');
        return end < 0 ? message : message.substring(0, end);
    }
}
