package dev.jotune.tensor.io;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * The index of a sharded checkpoint, {@code model.safetensors.index.json}: which file holds which tensor. Files
 * are plain names in the index's own folder; anything that could leave it is refused. The total size that the
 * index states is ignored, as the usual readers do.
 *
 * @param weightMap file name by tensor name, in the index's order
 */
public record SafeTensorsIndex(SequencedMap<String, String> weightMap) {

    private static final long LIMIT = 100_000_000L;
    private static final String REMEDY = "Download the index again, or save the checkpoint with a current tool.";

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    public SafeTensorsIndex {
        weightMap = Collections.unmodifiableSequencedMap(weightMap);
    }

    /**
     * Reads and checks an index; whether the shards hold what it says is for {@link Checkpoint} to see.
     *
     * @throws FormatException if it is not a sound index
     * @throws IOException     if it cannot be read
     */
    public static SafeTensorsIndex read(Path file) throws IOException {
        long size = Files.size(file);
        if (size > LIMIT) {
            throw new FormatException(file, "it has " + size + " bytes, more than the limit of " + LIMIT, REMEDY);
        }
        JsonNode root = parse(file, Files.readAllBytes(file));
        JsonNode map = root.path("weight_map");
        if (!root.isObject() || !map.isObject()) {
            throw new FormatException(file, map.isMissingNode() ? "it has no weight_map"
                    : "its weight_map is not an object", REMEDY);
        }
        SequencedMap<String, String> weightMap = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> e : map.properties()) {
            weightMap.put(e.getKey(), checkName(file, e.getKey(), e.getValue()));
        }
        return new SafeTensorsIndex(weightMap);
    }

    private static JsonNode parse(Path file, byte[] bytes) {
        try {
            return JSON.readTree(bytes);
        } catch (JsonProcessingException e) {
            throw new FormatException(file, "it is not valid JSON (" + e.getOriginalMessage() + ")", REMEDY, e);
        } catch (IOException e) {
            // Bytes that are no characters of the encoding that the first of them promise.
            throw new FormatException(file, "it is not valid JSON (" + e.getMessage() + ")", REMEDY, e);
        }
    }

    private static String checkName(Path file, String tensor, JsonNode shard) {
        if (!shard.isTextual()) {
            throw new FormatException(file, "the file of tensor " + FormatException.quote(tensor)
                    + " is not a text", REMEDY);
        }
        if (!CommitJournal.isPlainName(shard.asText())) {
            throw new FormatException(file, "the file of tensor " + FormatException.quote(tensor) + " is "
                    + FormatException.quote(shard.asText()) + ", which is not a plain name in the index's folder",
                    "Do not trust this checkpoint; shards must lie beside their index.");
        }
        return shard.asText();
    }
}
