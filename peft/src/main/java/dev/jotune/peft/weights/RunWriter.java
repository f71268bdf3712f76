package dev.jotune.peft.weights;

import dev.jotune.peft.AdapterException;
import dev.jotune.tensor.io.BFloat16;
import dev.jotune.tensor.io.Half;
import dev.jotune.tensor.io.StoredType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;

/**
 * Writes a lazily computed vector as the elements of a stored type, rounding each to nearest, a run at a time.
 *
 * @param type F64, F32, BF16 or F16
 * @param name of the tensor, for messages
 */
record RunWriter(StoredType type, String name) {
    /** @throws AdapterException for types that are not written */
    static RunWriter of(StoredType type, String name) {
        return switch (type) {
            case F64, F32, BF16, F16 -> new RunWriter(type, name);
            default -> throw new AdapterException("the tensor " + name + " is stored as " + type + ", which merges are not written in. "
                    + "Choose float32, bfloat16 or float16 for the result.");
        };
    }

    void write(Values values, WritableByteChannel channel) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(Values.RUN * Double.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        try {
            values.forEachRun((from, n, run) -> {
                buffer.clear();
                for (int i = 0; i < n; i++) {
                    put(buffer, run[i]);
                }
                buffer.flip();
                drain(buffer, channel);
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private void put(ByteBuffer buffer, double x) {
        switch (type) {
            case F64 -> buffer.putDouble(x);
            case F32 -> buffer.putFloat((float) x);
            case BF16 -> buffer.putShort(BFloat16.fromDouble(x));
            default -> buffer.putShort(Half.fromDouble(x));
        }
    }

    /** Bytes as they are. */
    static void copy(MemorySegment data, WritableByteChannel channel) throws IOException {
        try {
            for (long at = 0; at < data.byteSize(); at += Values.RUN) {
                drain(data.asSlice(at, Math.min(Values.RUN, data.byteSize() - at)).asByteBuffer(), channel);
            }
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static void drain(ByteBuffer buffer, WritableByteChannel channel) {
        try {
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
