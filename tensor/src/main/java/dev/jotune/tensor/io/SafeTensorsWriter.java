package dev.jotune.tensor.io;

import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * Writes safetensors files byte for byte as the format's reference library does: tensors by descending
 * {@link StoredType}, which is descending alignment, and then by the UTF-8 bytes of their names; compact JSON,
 * padded with spaces so that the data begin at a multiple of 8.
 */
public final class SafeTensorsWriter {

    private static final int ALIGNMENT = 8;
    /** Bytes handed to the system at once, since a ByteBuffer cannot show a whole large tensor. */
    private static final long CHUNK = 1L << 26;

    private SafeTensorsWriter() {
    }

    /**
     * Writes a file atomically (see {@link AtomicFiles}). It may replace a file whose mapped tensors are being
     * written.
     *
     * @param tensors  by name
     * @param metadata the file's own texts, written in the order of a {@link SequencedMap} and otherwise sorted;
     *                 nothing is written for an empty map
     * @throws IOException              if the file cannot be written; the target is then as it was
     * @throws IllegalArgumentException if a name cannot be written or the header exceeds the format's limit
     */
    public static void write(Path target, Map<String, RawTensor> tensors, Map<String, String> metadata)
            throws IOException {
        AtomicFiles.write(target, content(tensors, metadata));
    }

    /** Writes tensors of any backend and strides, as {@link #write} does. */
    public static void writeTensors(Path target, Map<String, Tensor> tensors, Map<String, String> metadata)
            throws IOException {
        AtomicFiles.write(target, contentOf(tensors, metadata));
    }

    /**
     * A tensor whose bytes are made while they are written, so that a file may be larger than memory.
     *
     * @param type  element type
     * @param shape sizes of the axes
     * @param bytes writes exactly the bytes that type and shape demand
     */
    public record Streamed(StoredType type, long[] shape, AtomicFiles.Content bytes) {}

    /** The file as content for {@link AtomicFiles#writeAll}. */
    public static AtomicFiles.Content content(Map<String, RawTensor> tensors, Map<String, String> metadata) {
        Map<String, Streamed> all = new LinkedHashMap<>();
        tensors.forEach((name, t) -> all.put(name, new Streamed(t.type(), t.shape(), c -> writeFully(c, t.data()))));
        return streamed(all, metadata);
    }

    /** Tensors of any backend and strides as content; nothing of them is freed until it is written. */
    public static AtomicFiles.Content contentOf(Map<String, Tensor> tensors, Map<String, String> metadata) {
        return channel -> {
            // What is written are addresses, which keep nothing alive: the scope holds the copies of what is not dense.
            try (Scope _ = Scope.open()) {
                content(RawTensor.of(tensors), metadata).writeTo(channel);
            } finally {
                Reference.reachabilityFence(tensors);
            }
        };
    }

    /**
     * The file as content, each tensor being made when its turn comes.
     *
     * @throws IllegalArgumentException as {@link #write}
     */
    public static AtomicFiles.Content streamed(Map<String, Streamed> tensors, Map<String, String> metadata) {
        List<Map.Entry<String, Streamed>> ordered = order(tensors);
        byte[] header = header(ordered, metadata);
        return channel -> {
            writeFully(channel, ByteBuffer.wrap(header));
            for (Map.Entry<String, Streamed> tensor : ordered) {
                tensor.getValue().bytes().writeTo(channel);
            }
        };
    }

    private static List<Map.Entry<String, Streamed>> order(Map<String, Streamed> tensors) {
        Comparator<Map.Entry<String, Streamed>> byType =
                Comparator.comparing((Map.Entry<String, Streamed> e) -> e.getValue().type()).reversed();
        // Strings compare by UTF-16 units, which order characters beyond the basic plane otherwise.
        return tensors.entrySet().stream()
                .sorted(byType.thenComparing(e -> utf8(e.getKey()), Arrays::compareUnsigned))
                .toList();
    }

    private static byte[] header(List<Map.Entry<String, Streamed>> tensors, Map<String, String> metadata) {
        StringBuilder json = new StringBuilder("{");
        if (!metadata.isEmpty()) {
            JsonText.append(json, SafeTensorsHeaderParser.METADATA_KEY).append(":{");
            (metadata instanceof SequencedMap ? metadata : new TreeMap<>(metadata)).forEach((key, value) -> {
                JsonText.append(json, requireWritable(key)).append(':');
                JsonText.append(json, requireWritable(value)).append(',');
            });
            json.setLength(json.length() - 1);
            json.append("},");
        }
        long offset = 0;
        for (Map.Entry<String, Streamed> e : tensors) {
            if (e.getKey().equals(SafeTensorsHeaderParser.METADATA_KEY)) {
                throw new IllegalArgumentException("A tensor cannot be named " + e.getKey()
                        + ", which the format reserves. Rename it.");
            }
            Streamed tensor = e.getValue();
            long end = Math.addExact(offset, tensor.type().byteSize(tensor.shape()));
            JsonText.append(json, requireWritable(e.getKey())).append(":{\"dtype\":\"").append(tensor.type())
                    .append("\",\"shape\":").append(compact(tensor.shape()))
                    .append(",\"data_offsets\":[").append(offset).append(',').append(end).append("]},");
            offset = end;
        }
        if (json.charAt(json.length() - 1) == ',') {
            json.setLength(json.length() - 1);
        }
        return withLength(json.append('}').toString().getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] withLength(byte[] json) {
        int padded = (json.length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (padded > SafeTensorsHeader.LIMIT) {
            throw new IllegalArgumentException("The header would have " + padded + " bytes, more than the format's "
                    + SafeTensorsHeader.LIMIT + ". Write fewer tensors, or shorter metadata, to one file.");
        }
        byte[] header = new byte[SafeTensorsHeader.LENGTH_BYTES + padded];
        Arrays.fill(header, (byte) ' ');
        ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(json);
        return header;
    }

    private static String compact(long[] shape) {
        return Arrays.toString(shape).replace(" ", "");
    }

    /** A text with half a surrogate pair has no UTF-8. */
    private static String requireWritable(String text) {
        if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
            throw new IllegalArgumentException("The text " + FormatException.quote(text)
                    + " holds half a surrogate pair, which has no UTF-8. Use another name.");
        }
        return text;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Writes a segment of any size and origin. */
    static void writeFully(WritableByteChannel channel, MemorySegment data) throws IOException {
        for (long at = 0; at < data.byteSize(); at += CHUNK) {
            MemorySegment chunk = data.asSlice(at, Math.min(CHUNK, data.byteSize() - at));
            // Only native memory and byte arrays can be shown as a buffer.
            writeFully(channel, chunk.isNative() ? chunk.asByteBuffer()
                    : ByteBuffer.wrap(chunk.toArray(ValueLayout.JAVA_BYTE)));
        }
    }

    private static void writeFully(WritableByteChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }
}
