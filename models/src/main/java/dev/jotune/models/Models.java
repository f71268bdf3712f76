package dev.jotune.models;

import dev.jotune.models.chat.ChatTemplate;
import dev.jotune.models.gguf.GgufModel;
import dev.jotune.models.hub.HubCache;
import dev.jotune.models.hub.HubSettings;
import dev.jotune.models.hub.RepoId;
import dev.jotune.models.seam.Seams;
import dev.jotune.models.tokenizer.Tokenizer;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.Checkpoint;
import dev.jotune.tensor.io.FormatException;
import dev.jotune.tensor.kernels.Precision;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/** Loads models from folders as published on the Hugging Face hub, and the one that is embedded in the library. */
public final class Models {
    /** The name of the embedded model: 260 thousand parameters, trained on TinyStories by A. Karpathy (MIT). */
    public static final String EMBEDDED = "stories260k";

    private static final String[] FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"};

    /** What belongs to a model beside its weights. */
    private static final List<String> SIDE_FILES = List.of("generation_config.json", "tokenizer.json", "tokenizer_config.json",
            "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
            "chat_template.json", "config.json");

    private Models() {}

    /**
     * A model with what belongs to it.
     *
     * @param name of the folder, for people and for {@code base_model_name_or_path}
     */
    public record Loaded(String name, Backbone backbone, Optional<Tokenizer> tokenizer, GenerationDefaults generation) {
        /** @throws ModelException if it is no decoder-only language model */
        public CausalLm model() {
            return as(CausalLm.class);
        }

        /** @throws ModelException if it is not of this kind */
        public <T extends Backbone> T as(Class<T> kind) {
            return backbone.as(kind);
        }

        /** The same model, its products computed from now on as {@link Seams#setPrecision} says. */
        public Loaded withPrecision(Precision precision) {
            backbone.seams().setPrecision(precision);
            return this;
        }

        /** @throws ModelException if the folder had no tokenizer */
        public Tokenizer requireTokenizer() {
            return tokenizer.orElseThrow(() -> new ModelException("the model '" + name
                    + "' has no tokenizer.json. Put the file published with the model beside its config.json."));
        }
    }

    /** Loads {@code folder} onto the CPU, computing in F32. */
    public static Loaded load(Path folder) {
        return load(folder, Backends.cpu(), DType.F32);
    }

    /**
     * Loads a folder (or a model OWNER/NAME from the cache of the hub) with {@code config.json},
     * {@code model.safetensors} or shards with their index, and
     * {@code tokenizer.json} if there is one; or a {@code .gguf} file, whose tokenizer is its own or lies beside it. Weights
     * are memory-mapped where the backend can address the file.
     *
     * @param computeType F32, or F64 on the reference backend
     * @throws ModelException saying which file is missing, malformed or not supported
     */
    public static Loaded load(Path folder, Backend backend, DType computeType) {
        if (isGguf(folder)) {
            return loadGguf(folder, backend, computeType);
        }
        return load(folder, backend, (config, source) -> Architectures.build(config, source, backend, computeType));
    }

    /**
     * Loads an encoder's folder as a classifier of texts. A checkpoint without one, such as a plain pretrained encoder,
     * gets a head that begins at random; an adapter then has to train and save it, as adapters of classifiers do.
     *
     * @param labels the classes by number
     * @param seed of the head's start
     * @throws ModelException saying which file is missing, malformed or not supported
     */
    public static Loaded loadClassifier(Path folder, List<String> labels, long seed, Backend backend, DType computeType) {
        return load(folder, backend, (config, source) ->
                Architectures.classifier(config, source, backend, computeType, labels, seed));
    }

    /** Makes a model of what a folder holds. */
    private interface Builder {
        Backbone build(Config config, Weights.Source source);
    }

    private static Loaded load(Path folder, Backend backend, Builder builder) {
        if (!Files.isDirectory(folder)) {
            Loaded loaded = load(locate(folder.toString()), backend, builder);
            return new Loaded(folder.toString(), loaded.backbone(), loaded.tokenizer(), loaded.generation());
        }
        Config config = Config.read(folder.resolve("config.json"));
        Path tokenizer = folder.resolve("tokenizer.json");
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
            Backbone model = builder.build(config, source(checkpoint, backend));
            return new Loaded(folder.toString(), model,
                    Files.exists(tokenizer) ? Optional.of(Tokenizer.load(tokenizer)) : Optional.empty(),
                    GenerationDefaults.read(folder, config));
        } catch (IOException e) {
            throw new ModelException("cannot read the weights in " + folder + ": " + e.getMessage(), e);
        } catch (FormatException e) {
            throw new ModelException(e.getMessage(), e);
        }
    }

    /**
     * The folder of a model: {@code folderOrName} itself where there is such a folder, else the one that
     * {@code jotune pull} or the hub's own client put into the cache for the model OWNER/NAME.
     *
     * @throws ModelException if there is neither
     */
    public static Path locate(String folderOrName) {
        Path folder = Path.of(folderOrName);
        if (Files.exists(folder)) {
            return folder;
        }
        Optional<RepoId> repo = RepoId.of(folderOrName);
        Optional<Path> pulled = repo.flatMap(new HubCache(HubSettings.fromEnvironment().cache())::find);
        return pulled.orElseThrow(() -> new ModelException("there is no model folder " + folder
                + repo.map(id -> ", and no model of that name was fetched from the hub. Run './jotune pull " + id + "' first, or give")
                        .orElse(". Give") + " a folder with config.json, model.safetensors and tokenizer.json, or '" + EMBEDDED
                + "' for the embedded model."));
    }

    /**
     * How the model of a folder wants conversations written, if its checkpoint says.
     *
     * @throws ModelException if there is no such model, or its template cannot be read
     */
    public static Optional<ChatTemplate> chatTemplate(String folderOrName) {
        if (folderOrName.equals(EMBEDDED)) {
            return Optional.empty();
        }
        Path located = locate(folderOrName);
        return ChatTemplate.load(Files.isDirectory(located) ? located : located.toAbsolutePath().getParent());
    }

    private static boolean isGguf(Path path) {
        return path.toString().endsWith(".gguf") && Files.isRegularFile(path);
    }

    private static Loaded loadGguf(Path file, Backend backend, DType computeType) {
        GgufModel model = openGguf(file);
        Path tokenizer = file.resolveSibling("tokenizer.json");
        return new Loaded(file.toString(), model.build(backend, computeType),
                Files.exists(tokenizer) ? Optional.of(Tokenizer.load(tokenizer)) : model.tokenizer(),
                GenerationDefaults.of(model.config()));
    }

    private static GgufModel openGguf(Path file) {
        try {
            return GgufModel.open(file);
        } catch (IOException e) {
            throw new ModelException("cannot read " + file + ": " + e.getMessage(), e);
        } catch (FormatException e) {
            throw new ModelException(e.getMessage(), e);
        }
    }

    private static Weights.Source source(Checkpoint checkpoint, Backend backend) {
        return new Weights.Source() {
            @Override
            public boolean contains(String name) {
                return checkpoint.contains(name);
            }

            @Override
            public Tensor get(String name) {
                try {
                    return checkpoint.tensor(name, backend);
                } catch (UnsupportedOperationException | ArithmeticException e) {
                    throw new ModelException(checkpoint.path() + ": the weight " + name + " is " + checkpoint.entry(name).type()
                            + ", which is no type of weights. Save the checkpoint in F32, BF16 or F16.", e);
                }
            }

            @Override
            public String origin() {
                return checkpoint.path().toString();
            }
        };
    }

    /**
     * The files of a model that are not weights, by name, configuration last: what a changed copy of it needs.
     *
     * @throws ModelException if one cannot be read
     */
    public static SequencedMap<String, byte[]> sideFiles(String folderOrName) {
        SequencedMap<String, byte[]> out = new LinkedHashMap<>();
        if (isGguf(Path.of(folderOrName))) {
            out.put("config.json", openGguf(Path.of(folderOrName)).configJson().getBytes(StandardCharsets.UTF_8));
            return out;
        }
        for (String name : SIDE_FILES) {
            try (InputStream in = folderOrName.equals(EMBEDDED) ? resource(name) : file(locate(folderOrName).resolve(name))) {
                if (in != null) {
                    out.put(name, in.readAllBytes());
                }
            } catch (IOException e) {
                throw new ModelException("cannot read " + name + " of " + folderOrName + ": " + e.getMessage(), e);
            }
        }
        return out;
    }

    private static InputStream file(Path file) throws IOException {
        return Files.exists(file) ? Files.newInputStream(file) : null;
    }

    private static InputStream resource(String name) {
        return Models.class.getResourceAsStream("/dev/jotune/models/" + EMBEDDED + "/" + name);
    }

    /** Loads the embedded model onto the CPU, computing in F32. */
    public static Loaded embedded() {
        return embedded(Backends.cpu(), DType.F32);
    }

    /** Loads the embedded model. */
    public static Loaded embedded(Backend backend, DType computeType) {
        try {
            Path folder = Files.createTempDirectory("jotune-" + EMBEDDED);
            try {
                for (String file : FILES) {
                    try (InputStream in = resource(file)) {
                        if (in == null) {
                            throw new ModelException("the embedded model is missing from this build: " + file);
                        }
                        Files.copy(in, folder.resolve(file));
                    }
                }
                Loaded loaded = load(folder, backend, computeType);
                return new Loaded(EMBEDDED, loaded.backbone(), loaded.tokenizer(), loaded.generation());
            } finally {
                // A mapped file stays readable after its name is gone.
                for (String file : FILES) {
                    Files.deleteIfExists(folder.resolve(file));
                }
                Files.delete(folder);
            }
        } catch (IOException e) {
            throw new ModelException("cannot unpack the embedded model: " + e.getMessage(), e);
        }
    }

    /** A folder, a model OWNER/NAME fetched from the hub, or the embedded model by name. */
    public static Loaded open(String folderOrName, Backend backend, DType computeType) {
        return folderOrName.equals(EMBEDDED) ? embedded(backend, computeType) : load(Path.of(folderOrName), backend, computeType);
    }
}
