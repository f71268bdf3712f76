package dev.jotune.peft.train;

import com.fasterxml.jackson.databind.JsonNode;
import dev.jotune.models.tokenizer.Encoding;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.peft.AdapterException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;

/** Texts, or pairs of texts, with the names or numbers of their classes. */
public record LabelledTexts(List<Row> rows) {
    private static final String NUMBER = "\\d{1,9}";

    public LabelledTexts {
        rows = List.copyOf(rows);
    }

    /**
     * One text.
     *
     * @param pair the second text of a pair
     * @param label a class's name or number
     * @param where file and line, for messages
     */
    public record Row(String text, Optional<String> pair, String label, String where) {
        Encoding encoded(Tokenizer tokenizer) {
            return pair.isPresent() ? tokenizer.encode(text, pair.get(), true) : tokenizer.encode(text, true);
        }

        /** The number of the class. */
        int category(List<String> labels) {
            int named = labels.indexOf(label);
            if (named >= 0) {
                return named;
            }
            int number = label.matches(NUMBER) ? Integer.parseInt(label) : -1;
            if (number < 0 || number >= labels.size()) {
                throw new AdapterException(where + ": the label '" + label + "' is not one of the classes "
                        + String.join(", ", labels.stream().limit(20).toList()) + ". Correct that line, or train on data that has it.");
            }
            return number;
        }
    }

    /**
     * Reads a file: one JSON object a line, {@code {"text": ..., "label": ...}}, with {@code "text_pair"} beside it for
     * pairs; or, where its name ends in {@code .tsv}, a text, perhaps its partner, and a label a line, between tabs. A
     * label is a text or a whole number.
     *
     * @throws AdapterException naming file and line, if the file is missing, malformed or has no example
     */
    public static LabelledTexts read(Path file) {
        List<Row> rows = new ArrayList<>();
        if (file.toString().toLowerCase(Locale.ROOT).endsWith(".tsv")) {
            JsonLines.eachLine(file, "a text, a tab and a label a line", (number, line) -> rows.add(tabs(file, number, line)));
        } else {
            JsonLines.read(file, line -> rows.add(new Row(line.text("text"),
                    line.has("text_pair") ? Optional.of(line.text("text_pair")) : Optional.empty(), label(line),
                    line.where())));
        }
        if (rows.isEmpty()) {
            throw new AdapterException(file + " holds no example. Give it one JSON object a line, {\"text\": ..., \"label\": ...}, or, "
                    + "named .tsv, a text, a tab and a label a line.");
        }
        return new LabelledTexts(rows);
    }

    private static Row tabs(Path file, long number, String line) {
        String[] parts = line.split("\t", -1);
        String where = file + ", line " + number;
        if (parts.length < 2 || parts.length > 3 || parts[parts.length - 1].isBlank()) {
            throw new AdapterException(where + ": there are " + parts.length + " columns, and 2 or 3 with a label in the last are "
                    + "wanted. Separate text and label by a tab.");
        }
        return new Row(parts[0], parts.length == 3 ? Optional.of(parts[1]) : Optional.empty(), parts[parts.length - 1].strip(), where);
    }

    private static String label(JsonLines.Line line) {
        JsonNode label = line.get("label");
        if (!label.isTextual() && !label.isIntegralNumber()) {
            throw line.wrong("\"label\" holds " + label + ", not a text or a whole number");
        }
        return label.asText();
    }

    /**
     * All labels that occur, each once: the numbers from 0 to the greatest if all are numbers, else by the alphabet.
     *
     * @throws AdapterException if the numbers are too far apart to count classes
     */
    public List<String> labels() {
        List<String> found = rows.stream().map(Row::label).distinct().sorted().toList();
        if (!found.stream().allMatch(l -> l.matches(NUMBER))) {
            return found;
        }
        int greatest = found.stream().map(Integer::valueOf).max(Comparator.naturalOrder()).orElseThrow();
        if (greatest >= 10 * Math.max(10, found.size())) {
            throw new AdapterException("the greatest label is " + greatest + ", but only " + found.size()
                    + " different ones occur. Number the classes from 0, or name them.");
        }
        return IntStream.rangeClosed(0, greatest).mapToObj(Integer::toString).toList();
    }
}
