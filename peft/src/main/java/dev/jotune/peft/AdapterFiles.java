package dev.jotune.peft;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.AtomicFiles;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.FormatException;
import dev.jotune.tensor.io.RawTensor;
import dev.jotune.tensor.io.SafeTensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/** PEFT's adapter folder: {@code adapter_config.json} and {@code adapter_model.safetensors}. */
public final class AdapterFiles {
    static final String CONFIG = "adapter_config.json";
    static final String TENSORS = "adapter_model.safetensors";

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
        } catch (FormatException e) {
            throw new AdapterException(e.getMessage(), e);
        } catch (IOException e) {
            throw new AdapterException("cannot read the adapter in " + folder + ": " + e.getMessage(), e);
        }
    }

    /** Old files name the wrapper: {@code modules_to_save.default.}. */
    private static String plain(String key) {
        return key.replaceFirst("modules_to_save\\.[^.]+\\.", "");
    }

    static void write(Path folder, TuningMethod method, Map<String, Tensor> tensors, Map<String, ?> extra) {
        SequencedMap<String, AtomicFiles.Content> files = new LinkedHashMap<>();
        Map<String, RawTensor> raw = RawTensor.of(tensors);
        files.put(TENSORS, SafeTensorsWriter.content(raw, Map.of("format", "pt")));
        files.put(CONFIG, AtomicFiles.Content.text(AdapterConfig.write(method, extra)));
        try {
            AtomicFiles.writeAll(folder, files);
        } catch (IOException e) {
            throw new AdapterException("cannot save the adapter to " + folder + ": " + e.getMessage()
                    + ". What was there before is untouched.", e);
        }
    }
}
