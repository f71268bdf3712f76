package dev.jotune.peft;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.FormatException;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.IntStream;

/** PEFT's adapter folder: {@code adapter_config.json} and {@code adapter_model.safetensors}. */
public final class AdapterFiles {
    static final String CONFIG = "adapter_config.json";
    static final String TENSORS = "adapter_model.safetensors";
    private static final String LABELS = "labels.json";
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private AdapterFiles() {}

    /** What a folder holds. */
    public record Contents(TuningMethod method, Map<String, Tensor> tensors) {}

    /**
     * Reads a folder; nothing of it is attached yet.
     *
     * @throws AdapterException if a file is missing, malformed or asks for what is not supported
     */
    public static Contents read(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new AdapterException("there is no adapter folder " + folder + ".");
        }
        try {
            AtomicFiles.recover(folder);
            Path config = folder.resolve(CONFIG);
            TuningMethod method = AdapterConfig.read(Files.readString(config), config.toString());
            Path file = folder.resolve(TENSORS);
            if (!Files.exists(file)) {
                throw new AdapterException(folder + " holds no " + TENSORS + ". Adapters saved as .bin must be saved "
                        + "again as safetensors.");
            }
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            try (Checkpoint c = Checkpoint.open(file)) {
                for (String name : c.names()) {
                    tensors.put(plain(name), c.tensor(name, Backends.cpu()));
                }
            }
            return new Contents(method, tensors);
        } catch (NoSuchFileException e) {
            throw new AdapterException("there is no file " + e.getFile() + ". An adapter folder holds " + CONFIG + " and "
                    + TENSORS + ".", e);
        } catch (CharacterCodingException e) {
            throw new AdapterException(folder.resolve(CONFIG) + " is not a text in UTF-8. Save the adapter again.", e);
        } catch (FormatException e) {
            throw new AdapterException(e.getMessage(), e);
        } catch (IOException e) {
            throw new AdapterException("cannot read the adapter in " + folder + ": " + e.getMessage(), e);
        }
    }

    /** The text of {@code adapter_config.json} for a method, without what it says of a model. */
    public static String configuration(TuningMethod method) {
        return AdapterConfig.write(method, Map.of());
    }

    /**
     * The method that the text of an {@code adapter_config.json} describes.
     *
     * @param origin what messages call the text
     * @throws AdapterException if it is malformed or asks for what is not supported
     */
    public static TuningMethod method(String configuration, String origin) {
        return AdapterConfig.read(configuration, origin);
    }

    /** Old files name the wrapper: {@code modules_to_save.default.}. */
    private static String plain(String key) {
        return key.replaceFirst("modules_to_save\\.[^.]+\\.", "");
    }

    /**
     * The classes that an adapter of a classifier tells apart: as Jotune names them beside the adapter, or, where PEFT
     * wrote it, as many without names as its head has; none for other adapters.
     *
     * @throws AdapterException if a file cannot be read
     */
    public static List<String> labels(Path folder) {
        Path file = folder.resolve(LABELS);
        try {
            if (Files.exists(file)) {
                JsonNode names = JSON.readTree(Files.readString(file));
                List<String> out = new ArrayList<>();
                names.forEach(n -> out.add(n.asText()));
                if (!names.isArray() || out.isEmpty() || !names.valueStream().allMatch(JsonNode::isTextual)) {
                    throw new AdapterException(file + " does not hold a list of names. Delete it, or save the adapter again.");
                }
                return out;
            }
        } catch (IOException e) {
            throw new AdapterException("cannot read " + file + ": " + e.getMessage() + ". Delete it, or save the adapter again.", e);
        }
        return read(folder).tensors().entrySet().stream()
                .filter(e -> e.getKey().matches(".*\\.(classifier|score)(\\.out_proj)?\\.weight") && e.getValue().rank() == 2)
                .map(e -> IntStream.range(0, (int) e.getValue().size(0)).mapToObj(i -> "LABEL_" + i).toList())
                .findFirst().orElse(List.of());
    }

    /**
     * Writes an adapter that was made of others, for the model that the adapter in {@code like} was made for.
     *
     * @throws AdapterException if {@code like} cannot be read or {@code folder} not be written
     */
    public static void write(Path folder, Contents contents, Path like) {
        Map<String, Object> extra = new LinkedHashMap<>();
        try {
            JsonNode config = JSON.readTree(Files.readString(like.resolve(CONFIG)));
            // What says which model it is for; hyper-parameters come from the method.
            for (String field : List.of("task_type", "base_model_name_or_path", "fan_in_fan_out")) {
                if (config.hasNonNull(field)) {
                    extra.put(field, config.get(field));
                }
            }
        } catch (IOException e) {
            throw new AdapterException("cannot read " + like.resolve(CONFIG) + ": " + e.getMessage(), e);
        }
        write(folder, contents.method(), contents.tensors(), extra, labels(like));
    }

    /** @param labels names of the classes; none if the model is no classifier */
    static void write(Path folder, TuningMethod method, Map<String, Tensor> tensors, Map<String, ?> extra, List<String> labels) {
        SequencedMap<String, AtomicFiles.Content> files = new LinkedHashMap<>();
        files.put(TENSORS, SafeTensorsWriter.contentOf(tensors, Map.of("format", "pt")));
        if (!labels.isEmpty()) {
            files.put(LABELS, AtomicFiles.Content.text(JSON.valueToTree(labels).toPrettyString()));
        }
        files.put(CONFIG, AtomicFiles.Content.text(AdapterConfig.write(method, extra)));
        try {
            AtomicFiles.writeAll(folder, files);
        } catch (IOException e) {
            throw new AdapterException("cannot save the adapter to " + folder + ": " + e.getMessage()
                    + ". What was there before is untouched.", e);
        }
    }
}
