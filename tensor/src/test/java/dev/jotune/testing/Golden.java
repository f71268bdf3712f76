package dev.jotune.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jotune.tensor.io.RawTensor;
import dev.jotune.tensor.io.SafeTensorsFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The reference numbers that tests compare with. They lie under the folder that the system property
 * {@code jotune.golden} names, one folder a suite, each with a {@code manifest.json} that lists its cases. Tests
 * iterate over what the manifest lists and take every name, shape and setting from it, so that another set of the
 * same kind can be put in its place.
 */
public final class Golden {

    /** The system property that names the folder. */
    public static final String PROPERTY = "jotune.golden";

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private Golden() {
    }

    /**
     * A tensor widened to doubles, row-major. The array's components are not copied: tests may take them as they
     * are.
     */
    public record Array(long[] shape, double[] values) {

        public float[] floats() {
            float[] out = new float[values.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = (float) values[i];
            }
            return out;
        }

        /** The values as whole numbers; fails where one is not. */
        public long[] longs() {
            long[] out = new long[values.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = (long) values[i];
                if (out[i] != values[i]) {
                    throw new AssertionError("Element " + i + " is " + values[i] + ", no whole number. "
                            + "Read this tensor as doubles.");
                }
            }
            return out;
        }
    }

    /** A tensor of an integer type, row-major. */
    public record LongArray(long[] shape, long[] values) {

        public int[] ints() {
            int[] out = new int[values.length];
            for (int i = 0; i < out.length; i++) {
                out[i] = Math.toIntExact(values[i]);
            }
            return out;
        }
    }

    /**
     * One case of a manifest.
     *
     * @param folder the case's own files
     * @param json   what the manifest says of it
     */
    public record Case(Path folder, JsonNode json) {

        /** The case's {@code id} or, in the peft suite, its {@code case}. */
        public String id() {
            return json.has("id") ? json.get("id").asText() : json.get("case").asText();
        }

        /** The entries of {@code checks}; empty if there are none. */
        public List<JsonNode> checks() {
            return children(json.path("checks"));
        }

        public Path file(String name) {
            return folder.resolve(name);
        }

        @Override
        public String toString() {
            return id();
        }
    }

    /** The folder that holds all suites. */
    public static Path root() {
        String value = System.getProperty(PROPERTY, "");
        if (value.isBlank()) {
            throw new AssertionError("The system property " + PROPERTY + " is not set. Maven sets it to the "
                    + "repository's folder golden/; elsewhere pass -D" + PROPERTY + "=/path/to/golden.");
        }
        Path root = Path.of(value);
        if (!Files.isDirectory(root)) {
            throw new AssertionError("The system property " + PROPERTY + " names " + root.toAbsolutePath()
                    + ", which is no folder. Pass -D" + PROPERTY + "=/path/to/golden.");
        }
        return root;
    }

    /** The folder of a suite, such as {@code formats} or {@code peft}. */
    public static Path folder(String suite) {
        Path folder = root().resolve(suite);
        if (!Files.isDirectory(folder)) {
            throw new AssertionError("The golden folder " + root().toAbsolutePath() + " has no suite " + suite
                    + ". Copy it there, or let " + PROPERTY + " name a folder that has it.");
        }
        return folder;
    }

    /** A suite's {@code manifest.json}. */
    public static JsonNode manifest(String suite) {
        return json(folder(suite).resolve("manifest.json"));
    }

    /** The cases of a suite, in the manifest's order. */
    public static Stream<Case> cases(String suite) {
        Path folder = folder(suite);
        return children(manifest(suite).get("cases")).stream()
                .map(c -> new Case(folder.resolve(c.path(c.has("folder") ? "folder" : "case").asText()), c));
    }

    /** The cases whose id begins with a prefix; fails if there are none, since nothing would then be tested. */
    public static Stream<Case> cases(String suite, String prefix) {
        List<Case> found = cases(suite).filter(c -> c.id().startsWith(prefix)).toList();
        if (found.isEmpty()) {
            throw new AssertionError("The golden suite " + suite + " has no case " + prefix
                    + "*. Use a set that has it, or drop the test.");
        }
        return found.stream();
    }

    /** Any JSON file of a suite. */
    public static JsonNode json(Path file) {
        try {
            return JSON.readTree(file.toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The elements of an array node as a list. */
    public static List<JsonNode> children(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false).toList();
    }

    /** An array node of whole numbers. */
    public static long[] longs(JsonNode array) {
        return children(array).stream().mapToLong(JsonNode::asLong).toArray();
    }

    /** One tensor of a safetensors file, widened to doubles. */
    public static Array array(Path file, String name) {
        GoldenReads.note(file, name);
        return array(open(file).raw(name));
    }

    /** One integer tensor of a safetensors file. */
    public static LongArray longArray(Path file, String name) {
        GoldenReads.note(file, name);
        RawTensor raw = open(file).raw(name);
        return new LongArray(raw.shape(), raw.toLongs());
    }

    /** Every tensor of a safetensors file, widened to doubles, in the file's order. */
    public static Map<String, Array> arrays(Path file) {
        Map<String, Array> all = new LinkedHashMap<>();
        open(file).rawTensors().forEach((name, raw) -> {
            GoldenReads.note(file, name);
            all.put(name, array(raw));
        });
        return all;
    }

    /** A safetensors file, for what the methods above do not give. */
    public static SafeTensorsFile open(Path file) {
        try {
            return SafeTensorsFile.open(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Array array(RawTensor raw) {
        return new Array(raw.shape(), raw.toDoubles());
    }
}
