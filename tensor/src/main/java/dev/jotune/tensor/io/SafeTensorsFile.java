package dev.jotune.tensor.io;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.SequencedSet;

/**
 * A memory-mapped safetensors file: tensors are views of the file's pages, nothing is copied, and only what is
 * touched is read. Data may lie at any alignment, so it is to be read with unaligned, little-endian layouts.
 *
 * <p>The file must not be changed in place while it is open (replacing it, as {@link AtomicFiles} does, is fine).
 */
public final class SafeTensorsFile {

    private final Path path;
    private final SafeTensorsHeader header;
    private final MemorySegment data;

    private SafeTensorsFile(Path path, SafeTensorsHeader header, MemorySegment data) {
        this.path = path;
        this.header = header;
        this.data = data;
    }

    /**
     * Opens a file; it is unmapped once neither this object nor any segment taken from it is reachable.
     *
     * @throws FormatException if the content is not a sound safetensors file
     * @throws IOException     if it cannot be read
     */
    public static SafeTensorsFile open(Path path) throws IOException {
        return open(path, Arena.ofAuto());
    }

    /** Like {@link #open(Path)}, but mapped for as long as {@code arena} lives. */
    public static SafeTensorsFile open(Path path, Arena arena) throws IOException {
        if (!Files.isRegularFile(path)) {
            throw new NoSuchFileException(path.toString(), null, Files.exists(path)
                    ? "this is not a regular file. Name a .safetensors file"
                    : "there is no such file. Check the path, or make the file first");
        }
        MemorySegment whole;
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            whole = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
        long size = whole.byteSize();
        long firstBytes = size < SafeTensorsHeader.LENGTH_BYTES ? 0
                : whole.get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
        int length = SafeTensorsHeader.checkLength(path, size, firstBytes);
        ByteBuffer json = whole.asSlice(SafeTensorsHeader.LENGTH_BYTES, length).asByteBuffer();
        long dataStart = SafeTensorsHeader.LENGTH_BYTES + (long) length;
        SafeTensorsHeader header = SafeTensorsHeader.parse(path, json, size - dataStart);
        return new SafeTensorsFile(path, header, whole.asSlice(dataStart));
    }

    /** The file this was opened from. */
    public Path path() {
        return path;
    }

    public SafeTensorsHeader header() {
        return header;
    }

    /** The file's own key-value texts, such as {@code format -> pt}. */
    public SequencedMap<String, String> metadata() {
        return header.metadata();
    }

    /** Names of the tensors, in the header's order. */
    public SequencedSet<String> names() {
        return header.entries().sequencedKeySet();
    }

    public boolean contains(String name) {
        return header.entries().containsKey(name);
    }

    /**
     * Type, shape and place of a tensor.
     *
     * @throws IllegalArgumentException if there is none of this name
     */
    public SafeTensorsHeader.Entry entry(String name) {
        SafeTensorsHeader.Entry entry = header.entries().get(name);
        if (entry == null) {
            throw new IllegalArgumentException(path + " holds no tensor " + FormatException.quote(name)
                    + ". Its " + header.entries().size() + " tensors are named by names().");
        }
        return entry;
    }

    /** The bytes of a tensor, read-only, in the file's pages. */
    public MemorySegment data(String name) {
        SafeTensorsHeader.Entry entry = entry(name);
        return data.asSlice(entry.begin(), entry.byteSize());
    }

    /** Type, shape and bytes of a tensor. */
    public RawTensor raw(String name) {
        SafeTensorsHeader.Entry entry = entry(name);
        return new RawTensor(entry.type(), entry.shape(), data.asSlice(entry.begin(), entry.byteSize()));
    }

    /** Every tensor, in the header's order. */
    public SequencedMap<String, RawTensor> rawTensors() {
        SequencedMap<String, RawTensor> all = new LinkedHashMap<>();
        names().forEach(name -> all.put(name, raw(name)));
        return all;
    }
}
