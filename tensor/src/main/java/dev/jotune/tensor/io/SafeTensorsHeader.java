package dev.jotune.tensor.io;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * The checked header of a safetensors file: an 8-byte little-endian length, that many bytes of JSON, then the data.
 * Specification: <a href="https://github.com/huggingface/safetensors#format">huggingface/safetensors, Format</a>.
 *
 * <p>A header that exists is sound: every tensor's bytes are what its type and shape demand, and the tensors cover
 * the data without gap, overlap or remainder. Beyond the reference library it refuses a name given twice even
 * where the bytes agree, and a header that does not begin with a brace, as the specification says.
 *
 * @param entries  the tensors, in the header's order
 * @param metadata the file's own key-value texts, in the header's order
 * @param dataStart offset of the data in the file
 */
public record SafeTensorsHeader(
        SequencedMap<String, Entry> entries, SequencedMap<String, String> metadata, long dataStart) {

    /** Bytes of the length field. */
    static final int LENGTH_BYTES = Long.BYTES;
    /** The reference library's limit on the JSON; a header claims nothing beyond it. */
    static final long LIMIT = 100_000_000L;

    static final String DOWNLOAD_AGAIN = "Copy or download the file again, or convert it with a current tool.";

    /**
     * One tensor.
     *
     * @param type  element type
     * @param shape sizes of the axes
     * @param begin first byte, counted from the start of the data
     * @param end   one past the last byte
     */
    public record Entry(StoredType type, long[] shape, long begin, long end) {

        public Entry {
            shape = shape.clone();
        }

        @Override
        public long[] shape() {
            return shape.clone();
        }

        /** Bytes of the tensor. */
        public long byteSize() {
            return end - begin;
        }

        @Override
        public String toString() {
            return type + Arrays.toString(shape) + " at [" + begin + ", " + end + ")";
        }
    }

    public SafeTensorsHeader {
        entries = Collections.unmodifiableSequencedMap(entries);
        metadata = Collections.unmodifiableSequencedMap(metadata);
    }

    /**
     * Checks the length field, before anything of that length is read.
     *
     * @param file       named in messages
     * @param fileSize   bytes of the whole file
     * @param firstBytes the file's first 8 bytes as a little-endian number; ignored if the file is shorter
     * @return the length of the JSON
     * @throws FormatException if the length cannot be right
     */
    static int checkLength(Path file, long fileSize, long firstBytes) {
        if (fileSize < LENGTH_BYTES) {
            throw new FormatException(file, "it has " + fileSize + " bytes, fewer than the 8 of the header length",
                    "The file is empty or cut off, so download or save it again.");
        }
        if (firstBytes < 0 || firstBytes > LIMIT) {
            throw new FormatException(file, "the header length " + Long.toUnsignedString(firstBytes)
                    + " exceeds the limit of " + LIMIT, "This is no safetensors file, or it is damaged. "
                    + DOWNLOAD_AGAIN);
        }
        if (firstBytes > fileSize - LENGTH_BYTES) {
            throw new FormatException(file, "the header length " + firstBytes + " exceeds the file's "
                    + fileSize + " bytes", "The file is cut off, so download or save it again.");
        }
        return (int) firstBytes;
    }

    /**
     * Parses and checks the JSON.
     *
     * @param file      named in messages
     * @param json      the header's bytes, without the length field
     * @param dataBytes bytes that follow the header in the file
     * @throws FormatException if anything is not as the format demands
     */
    static SafeTensorsHeader parse(Path file, ByteBuffer json, long dataBytes) {
        int length = json.remaining();
        if (length == 0 || json.get(json.position()) != '{') {
            throw new FormatException(file, "the header does not begin with '{'",
                    "This is no safetensors file, or it is damaged. " + DOWNLOAD_AGAIN);
        }
        String text;
        try {
            text = StandardCharsets.UTF_8.newDecoder().decode(json).toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "the header is not UTF-8", DOWNLOAD_AGAIN, e);
        }
        SafeTensorsHeaderParser.Parsed parsed = new SafeTensorsHeaderParser(file).parse(text);
        checkCoverage(file, parsed.entries(), dataBytes);
        return new SafeTensorsHeader(parsed.entries(), parsed.metadata(), LENGTH_BYTES + (long) length);
    }

    /** The tensors must be the data, each byte belonging to exactly one of them. */
    private static void checkCoverage(Path file, Map<String, Entry> entries, long dataBytes) {
        List<Map.Entry<String, Entry>> ordered = new ArrayList<>(entries.entrySet());
        ordered.sort(Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().begin())
                .thenComparingLong(e -> e.getValue().end()));
        long covered = 0;
        for (Map.Entry<String, Entry> e : ordered) {
            Entry entry = e.getValue();
            if (entry.begin() != covered) {
                throw new FormatException(file, "tensor " + FormatException.quote(e.getKey()) + " begins at byte "
                        + entry.begin() + ", but the tensors before it end at byte " + covered,
                        "Tensors may neither overlap nor leave gaps. " + DOWNLOAD_AGAIN);
            }
            covered = entry.end();
        }
        if (covered != dataBytes) {
            throw new FormatException(file, "the tensors take " + covered + " bytes, but the file holds "
                    + dataBytes, (covered > dataBytes ? "The file is cut off. " : "Bytes were appended to it. ")
                    + DOWNLOAD_AGAIN);
        }
    }
}
