package dev.jotune.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Writes small GGUF files for tests: version 3, little-endian, aligned to 32. */
public final class GgufBuilder {
    private static final int ALIGNMENT = 32;
    private static final int UINT32 = 4;
    private static final int INT32 = 5;
    private static final int FLOAT32 = 6;
    private static final int BOOL = 7;
    private static final int STRING = 8;
    private static final int ARRAY = 9;

    private record Tensor(String name, int type, long[] shape, byte[] data) {}

    private final ByteArrayOutputStream keys = new ByteArrayOutputStream();
    private final List<Tensor> tensors = new ArrayList<>();
    private long count;

    private static byte[] little(int bytes, long value) {
        byte[] eight = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value).array();
        return java.util.Arrays.copyOf(eight, bytes);
    }

    private static void text(ByteArrayOutputStream out, String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        out.writeBytes(little(Long.BYTES, utf8.length));
        out.writeBytes(utf8);
    }

    private static int type(Object value) {
        return switch (value) {
            case String s -> STRING;
            case Boolean b -> BOOL;
            case Float f -> FLOAT32;
            case Long n -> UINT32;
            case Integer n -> INT32;
            case List<?> l -> ARRAY;
            default -> throw new IllegalArgumentException(value.toString());
        };
    }

    private static void value(ByteArrayOutputStream out, Object value) {
        switch (value) {
            case String s -> text(out, s);
            case Boolean b -> out.write(b ? 1 : 0);
            case Float f -> out.writeBytes(little(Integer.BYTES, Float.floatToIntBits(f)));
            case Long n -> out.writeBytes(little(Integer.BYTES, n));
            case Integer n -> out.writeBytes(little(Integer.BYTES, n));
            case List<?> l -> {
                out.writeBytes(little(Integer.BYTES, type(l.getFirst())));
                out.writeBytes(little(Long.BYTES, l.size()));
                l.forEach(e -> value(out, e));
            }
            default -> throw new IllegalArgumentException(value.toString());
        }
    }

    /** A key: String, Boolean, Float, Integer (int32), Long (uint32), or a list of one of these. */
    public GgufBuilder key(String key, Object value) {
        text(keys, key);
        keys.writeBytes(little(Integer.BYTES, type(value)));
        value(keys, value);
        count++;
        return this;
    }

    /**
     * A tensor.
     *
     * @param type its number in files
     * @param data its bytes
     * @param shape outermost first
     */
    public GgufBuilder tensor(String name, int type, byte[] data, long... shape) {
        tensors.add(new Tensor(name, type, shape.clone(), data));
        return this;
    }

    public void write(Path file) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
        out.writeBytes(little(Integer.BYTES, 3));
        out.writeBytes(little(Long.BYTES, tensors.size()));
        out.writeBytes(little(Long.BYTES, count));
        out.writeBytes(keys.toByteArray());
        long offset = 0;
        for (Tensor t : tensors) {
            text(out, t.name);
            out.writeBytes(little(Integer.BYTES, t.shape.length));
            for (int d = t.shape.length - 1; d >= 0; d--) {
                out.writeBytes(little(Long.BYTES, t.shape[d]));
            }
            out.writeBytes(little(Integer.BYTES, t.type));
            out.writeBytes(little(Long.BYTES, offset));
            offset += padded(t.data.length);
        }
        pad(out);
        for (Tensor t : tensors) {
            out.writeBytes(t.data);
            pad(out);
        }
        Files.write(file, out.toByteArray());
    }

    private static long padded(long n) {
        return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private static void pad(ByteArrayOutputStream out) {
        while (out.size() % ALIGNMENT != 0) {
            out.write(0);
        }
    }
}
