package dev.jotune.tensor.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * A memory-mapped GGUF file, version 2 or 3, little-endian: metadata and tensors by name. Nothing is copied; only what
 * is touched is read. Specification:
 * <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">ggml-org/ggml, docs/gguf.md</a>.
 *
 * <p>A file that opens is sound: every tensor lies within the file, aligned, apart from every other, in whole blocks.
 * Memory for its table is bounded whatever the file claims: at most {@value #MOST_KEYS} keys and
 * {@value #MOST_TENSORS} tensors are read, many times what any model has, and arrays stay in the file. The file must
 * not be changed in place while it is open.
 */
public final class GgufFile {
    /** Keys of metadata that a file may have. */
    public static final int MOST_KEYS = 1 << 16;
    /** Tensors that a file may have. */
    public static final int MOST_TENSORS = 1 << 16;

    private final Path path;
    private final SequencedMap<String, GgufValue> metadata;
    private final SequencedMap<String, GgufTensor> tensors;

    private GgufFile(Path path, GgufReader content) {
        this.path = path;
        this.metadata = Collections.unmodifiableSequencedMap(content.metadata());
        this.tensors = Collections.unmodifiableSequencedMap(content.tensors());
    }

    /**
     * Opens a file; it is unmapped once neither this object nor anything taken from it is reachable.
     *
     * @throws FormatException if the content is not a sound GGUF file
     * @throws IOException     if it cannot be read
     */
    public static GgufFile open(Path path) throws IOException {
        return open(path, Arena.ofAuto());
    }

    /** Like {@link #open(Path)}, but mapped for as long as {@code arena} lives. */
    public static GgufFile open(Path path, Arena arena) throws IOException {
        if (!Files.isRegularFile(path)) {
            throw new NoSuchFileException(path.toString(), null, Files.exists(path)
                    ? "this is not a regular file. Name a .gguf file" : "there is no such file. Check the path");
        }
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            MemorySegment whole = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return new GgufFile(path, new GgufReader(path, whole));
        }
    }

    /** The file this was opened from. */
    public Path path() {
        return path;
    }

    /** Keys and values, in the file's order. */
    public SequencedMap<String, GgufValue> metadata() {
        return metadata;
    }

    /** The value of a key, if the file has it. */
    public Optional<GgufValue> value(String key) {
        return Optional.ofNullable(metadata.get(key));
    }

    /** The tensors by name, in the file's order. */
    public SequencedMap<String, GgufTensor> tensors() {
        return tensors;
    }

    /**
     * One tensor.
     *
     * @throws IllegalArgumentException if there is none of this name
     */
    public GgufTensor tensor(String name) {
        GgufTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException(path + " holds no tensor " + FormatException.quote(name) + ". It has "
                    + tensors.size() + " others; see tensors().");
        }
        return tensor;
    }
}
