package dev.jotune.models.gguf;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.jotune.models.Architectures;
import dev.jotune.models.Backbone;
import dev.jotune.models.Config;
import dev.jotune.models.ModelException;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.io.GgufFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;

/** A language model in one GGUF file. Architectures: llama (with the names and the layout of ggml's converter) and gpt2. */
public final class GgufModel {
    private final GgufFile file;
    private final GgufFamily family;
    private final ObjectNode config;

    private GgufModel(GgufFile file) {
        this.file = file;
        String architecture = new GgufMetadata(file).text("general.architecture").orElseThrow(() -> new ModelException(file.path()
                + " lacks the key general.architecture. It holds no model."));
        family = switch (architecture) {
            case "llama" -> GgufFamily.LLAMA;
            case "gpt2" -> GgufFamily.GPT2;
            default -> throw new ModelException(file.path() + ": general.architecture '" + architecture
                    + "' is not supported in GGUF files. Supported: llama, gpt2; use the safetensors checkpoint of other models.");
        };
        config = GgufConfig.read(file, family);
    }

    /**
     * Opens a file and reads its settings.
     *
     * @throws dev.jotune.tensor.io.FormatException if it is no sound GGUF file
     * @throws ModelException if the model in it is not supported
     * @throws IOException    if it cannot be read
     */
    public static GgufModel open(Path file) throws IOException {
        return new GgufModel(GgufFile.open(file));
    }

    /** Its settings as the hub's {@code config.json} has them. */
    public String configJson() {
        return config.toPrettyString();
    }

    /** Its tokenizer, if the file holds one of a kind that is known here. */
    public Optional<Tokenizer> tokenizer() {
        return GgufTokenizer.read(file);
    }

    public Config config() {
        return Config.parse(config.toString(), file.path().toString());
    }

    /**
     * The model. Quantised matrices stay so.
     *
     * @throws ModelException naming what is missing, left over or not supported
     */
    public Backbone build(Backend backend, DType computeType) {
        String heads = family == GgufFamily.GPT2 ? "n_head" : "num_attention_heads";
        String groups = family == GgufFamily.GPT2 ? "n_head" : "num_key_value_heads";
        Config c = config();
        GgufSource source = new GgufSource(file, family, backend, c.size(heads), c.size(groups));
        Backbone model = Architectures.build(config(), source, backend, computeType);
        source.finish(Set.of(GgufConfig.ROPE_FACTORS));
        return model;
    }
}
