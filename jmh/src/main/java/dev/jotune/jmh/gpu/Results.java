package dev.jotune.jmh.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a run has so far, in a folder: {@code lines.jsonl}, to which every part of the run adds lines ({@code {"machine": ..}},
 * {@code {"question": ..}}, {@code {"row": ..}}), and {@code results.json} and {@code RESULTS.md}, made of it anew after every row and
 * moved into their places whole.
 */
final class Results {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;

    Results(Path folder) {
        this.folder = folder;
    }

    static ObjectNode object() {
        return JSON.createObjectNode();
    }

    private Path lines() {
        return folder.resolve("lines.jsonl");
    }

    /** Adds a line, then writes both files. */
    synchronized void add(ObjectNode line) {
        try {
            Files.createDirectories(folder);
            Files.writeString(lines(), JSON.writeValueAsString(line) + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            write();
        } catch (IOException e) {
            throw new UncheckedIOException("Results cannot be written to " + folder + ".", e);
        }
    }

    /** The newest line of a row. */
    Optional<JsonNode> row(String id) {
        return all().stream().filter(l -> l.path("row").asText().equals(id)).reduce((a, b) -> b);
    }

    /** Every line that can be read: the last may have been cut off. */
    List<JsonNode> all() {
        List<JsonNode> out = new ArrayList<>();
        try {
            for (String line : Files.exists(lines()) ? Files.readAllLines(lines(), StandardCharsets.UTF_8) : List.<String>of()) {
                try {
                    out.add(JSON.readTree(line));
                } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
                    // Cut off when its writer was stopped.
                    continue;
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(lines() + " cannot be read.", e);
        }
        return out;
    }

    /** {@code results.json} and {@code RESULTS.md} of what there is. */
    void write() {
        List<JsonNode> all = all();
        ObjectNode root = object();
        ObjectNode machine = root.putObject("machine");
        Map<String, JsonNode> answered = new LinkedHashMap<>();
        ArrayNode questions = root.putArray("questions");
        ArrayNode rows = root.putArray("rows");
        for (JsonNode line : all) {
            if (line.has("machine")) {
                machine.setAll((ObjectNode) line.get("machine"));
            } else if (line.has("question")) {
                answered.put(line.get("question").asText(), line);
            }
        }
        answered.values().forEach(questions::add);
        for (Goal goal : Goal.ALL) {
            all.stream().filter(l -> l.path("row").asText().equals(goal.id())).reduce((a, b) -> b).ifPresent(rows::add);
        }
        try {
            Files.createDirectories(folder);
            move("results.json", JSON.writer(SerializationFeature.INDENT_OUTPUT).writeValueAsString(root) + "\n");
            move("RESULTS.md", Page.of(root));
        } catch (IOException e) {
            throw new UncheckedIOException("Results cannot be written to " + folder + ".", e);
        }
    }

    private void move(String name, String text) throws IOException {
        Path part = folder.resolve(name + ".part");
        Files.writeString(part, text);
        Files.move(part, folder.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
