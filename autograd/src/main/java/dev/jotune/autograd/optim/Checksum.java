package dev.jotune.autograd.optim;

import dev.jotune.tensor.io.RawTensor;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/** CRC-32C over names, types, shapes and bytes of tensors and over texts, independent of their order. */
final class Checksum {
    private static final long CHUNK = 1L << 26;

    private Checksum() {}

    static String of(Map<String, RawTensor> tensors, Map<String, String> texts) {
        CRC32C crc = new CRC32C();
        new TreeMap<>(texts).forEach((key, text) -> {
            update(crc, key);
            update(crc, text);
        });
        new TreeMap<>(tensors).forEach((name, t) -> {
            update(crc, name);
            update(crc, t.toString());
            update(crc, t.data());
        });
        return String.format("crc32c:%08x", crc.getValue());
    }

    /** With its length, so that neighbours cannot trade characters. */
    private static void update(CRC32C crc, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        crc.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
        crc.update(bytes);
    }

    private static void update(CRC32C crc, MemorySegment data) {
        for (long at = 0; at < data.byteSize(); at += CHUNK) {
            crc.update(data.asSlice(at, Math.min(CHUNK, data.byteSize() - at)).asByteBuffer());
        }
    }
}
