package dev.jotune.peft.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jotune.peft.AdapterException;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.function.Consumer;

/** Files read line by line, most with one JSON object a line; every error names file and line. */
final class JsonLines {
    private static final JsonMapper JSON = JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    private JsonLines() {}

    /** One line. */
    record Line(Path file, long number, JsonNode object) {
        AdapterException wrong(String what) {
            return new AdapterException(where() + ": " + what + ". Correct that line.");
        }

        String where() {
            return file + ", line " + number;
        }

        boolean has(String field) {
            return object.has(field);
        }

        JsonNode get(String field) {
            if (!has(field)) {
                throw wrong("the field \"" + field + "\" is missing");
            }
            return object.get(field);
        }

        String text(String field) {
            return text(field, get(field));
        }

        String text(String field, JsonNode value) {
            if (!value.isTextual()) {
                throw wrong("\"" + field + "\" holds " + value + ", not a text");
            }
            return value.textValue();
        }
    }

    static void read(Path file, Consumer<Line> each) {
        eachLine(file, "one JSON object a line", (number, text) -> each.accept(parse(file, number, text)));
    }

    /** What to do with a line and its number. */
    interface LineReader {
        void accept(long number, String text);
    }

    /**
     * Reads a file of UTF-8 line by line, without a byte-order mark and blank lines.
     *
     * @param holds what the file should hold, for a message
     */
    static void eachLine(Path file, String holds, LineReader each) {
        long number = 0;
        try (BufferedReader in = Files.newBufferedReader(file)) {
            for (String text = in.readLine(); text != null; text = in.readLine()) {
                number++;
                String plain = number == 1 && text.startsWith("\uFEFF") ? text.substring(1) : text;
                if (!plain.isBlank()) {
                    each.accept(number, plain);
                }
            }
        } catch (NoSuchFileException e) {
            throw new AdapterException("there is no file " + file + ". Give a file with " + holds + ".", e);
        } catch (CharacterCodingException e) {
            throw new AdapterException(file + " is not UTF-8 text, shortly after line " + number
                    + ". Save it as UTF-8.", e);
        } catch (IOException e) {
            throw new AdapterException("cannot read " + file + " after line " + number + ": " + e.getMessage()
                    + ". Give a file that can be read.", e);
        }
    }

    private static Line parse(Path file, long number, String text) {
        Line line = new Line(file, number, null);
        try {
            JsonNode node = JSON.readTree(text);
            if (node == null || !node.isObject()) {
                throw line.wrong("there is no JSON object {...}");
            }
            return new Line(file, number, node);
        } catch (JsonProcessingException e) {
            throw line.wrong("not valid JSON (" + e.getOriginalMessage() + ")");
        }
    }
}
