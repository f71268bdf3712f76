package dev.jotune.tensor.io;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;

/**
 * The tensors of a model on disk, by name, whether they lie in one safetensors file or in many. Files are
 * memory-mapped; nothing is copied.
 *
 * <p>Closing forgets the files. What was taken from them before, segments as well as tensors, stays valid: pages
 * are unmapped when the last view of them is unreachable, so a tensor can never point at memory that is gone.
 */
public final class Checkpoint implements AutoCloseable {

    /** The file of a checkpoint that is not sharded. */
    public static final String SINGLE_FILE = "model.safetensors";
    /** The index of a checkpoint that is. */
    public static final String INDEX_FILE = "model.safetensors.index.json";

    private static final String INDEX_SUFFIX = ".index.json";

    private final Path path;
    private final SequencedMap<String, SafeTensorsFile> files;
    private boolean closed;

    private Checkpoint(Path path, SequencedMap<String, SafeTensorsFile> files) {
        this.path = path;
        this.files = files;
    }

    /**
     * Opens a checkpoint.
     *
     * @param fileOrFolder a safetensors file, an index of shards, or a folder that holds {@value #SINGLE_FILE} or,
     *                     failing that, {@value #INDEX_FILE}
     * @throws FormatException if a file is not sound, or the index does not agree with its shards
     * @throws IOException     if files are missing or cannot be read
     */
    public static Checkpoint open(Path fileOrFolder) throws IOException {
        if (Files.isDirectory(fileOrFolder)) {
            AtomicFiles.recover(fileOrFolder);
            Path single = fileOrFolder.resolve(SINGLE_FILE);
            if (Files.exists(single)) {
                return openSingle(single);
            }
            Path index = fileOrFolder.resolve(INDEX_FILE);
            if (Files.exists(index)) {
                return openSharded(index);
            }
            throw new NoSuchFileException(fileOrFolder.toString(), null, "this folder holds neither " + SINGLE_FILE
                    + " nor " + INDEX_FILE + ". Name the folder of a checkpoint in safetensors format");
        }
        return fileOrFolder.toString().endsWith(INDEX_SUFFIX) && Files.exists(fileOrFolder)
                ? openSharded(fileOrFolder) : openSingle(fileOrFolder);
    }

    private static Checkpoint openSingle(Path path) throws IOException {
        SafeTensorsFile file = SafeTensorsFile.open(path);
        SequencedMap<String, SafeTensorsFile> files = new LinkedHashMap<>();
        file.names().forEach(name -> files.put(name, file));
        return new Checkpoint(path, files);
    }

    private static Checkpoint openSharded(Path indexFile) throws IOException {
        Map<String, SafeTensorsFile> shards = new LinkedHashMap<>();
        SequencedMap<String, SafeTensorsFile> files = new LinkedHashMap<>();
        for (Map.Entry<String, String> e : SafeTensorsIndex.read(indexFile).weightMap().entrySet()) {
            SafeTensorsFile shard = shards.get(e.getValue());
            if (shard == null) {
                shard = openShard(indexFile, e.getKey(), e.getValue());
                shards.put(e.getValue(), shard);
            }
            if (!shard.contains(e.getKey())) {
                throw new FormatException(indexFile, "it places tensor " + FormatException.quote(e.getKey())
                        + " in " + e.getValue() + ", which does not hold it",
                        "Index and shards do not belong together; download all of them again.");
            }
            files.put(e.getKey(), shard);
        }
        return new Checkpoint(indexFile, files);
    }

    private static SafeTensorsFile openShard(Path indexFile, String tensor, String name) throws IOException {
        Path shard = indexFile.resolveSibling(name);
        if (!Files.isRegularFile(shard)) {
            throw new FormatException(indexFile, "it places tensor " + FormatException.quote(tensor) + " in "
                    + FormatException.quote(name) + ", which is missing", "Download the missing file into "
                    + "the same folder.");
        }
        return SafeTensorsFile.open(shard);
    }

    /** The file or index that was opened. */
    public Path path() {
        return path;
    }

    /** Names of all tensors, in the order of the header or index. */
    public SequencedSet<String> names() {
        return Collections.unmodifiableSequencedSet(open().sequencedKeySet());
    }

    public boolean contains(String name) {
        return open().containsKey(name);
    }

    /**
     * Type, shape and place of a tensor.
     *
     * @throws IllegalArgumentException if there is none of this name
     */
    public SafeTensorsHeader.Entry entry(String name) {
        return file(name).entry(name);
    }

    /** The bytes of a tensor, read-only, little-endian and perhaps unaligned. */
    public MemorySegment data(String name) {
        return file(name).data(name);
    }

    /** Type, shape and bytes of a tensor. */
    public RawTensor raw(String name) {
        return file(name).raw(name);
    }

    /**
     * A tensor over the file's pages, without copying where its type and alignment allow it (see
     * {@link RawTensor#toTensor}). It must not be written to; to change weights, copy them before.
     *
     * @throws IllegalArgumentException      if there is none of this name
     * @throws UnsupportedOperationException if its type has no numbers here (F4, F6, C64)
     */
    public Tensor tensor(String name, Backend backend) {
        return raw(name).toTensor(backend);
    }

    private SafeTensorsFile file(String name) {
        SafeTensorsFile file = open().get(name);
        if (file == null) {
            throw new IllegalArgumentException(path + " holds no tensor " + FormatException.quote(name)
                    + ". It has " + files.size() + " others; see names().");
        }
        return file;
    }

    private SequencedMap<String, SafeTensorsFile> open() {
        if (closed) {
            throw new IllegalStateException("The checkpoint " + path + " is closed. Take its tensors before.");
        }
        return files;
    }

    @Override
    public void close() {
        closed = true;
        files.clear();
    }
}
