package dev.jotune.tensor.cpu.simd;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;

/**
 * A native buffer of floats between two canaries. Kernels see only addresses, so all buffers live until
 * {@link #freeAll}.
 */
final class Buf {
    private static final int GUARD = 32;
    private static final float CANARY = 12345.678f;
    private static Arena arena = Arena.ofShared();

    final int size;
    private final MemorySegment segment;

    private Buf(int size) {
        this.size = size;
        segment = arena.allocate(4L * (size + 2 * GUARD), 64);
        for (int i = 0; i < size + 2 * GUARD; i++) {
            segment.setAtIndex(ValueLayout.JAVA_FLOAT, i, CANARY);
        }
    }

    /** Frees every buffer made so far. */
    static void freeAll() {
        arena.close();
        arena = Arena.ofShared();
    }

    /** A buffer whose every element is the canary. */
    static Buf empty(int size) {
        return new Buf(size);
    }

    static Buf zeros(int size) {
        Buf buf = new Buf(size);
        for (int i = 0; i < size; i++) {
            buf.set(i, 0);
        }
        return buf;
    }

    static Buf random(int size, Random random) {
        Buf buf = new Buf(size);
        for (int i = 0; i < size; i++) {
            buf.set(i, (float) random.nextGaussian());
        }
        return buf;
    }

    static Buf of(float... values) {
        Buf buf = new Buf(values.length);
        for (int i = 0; i < values.length; i++) {
            buf.set(i, values[i]);
        }
        return buf;
    }

    /** The same values narrowed to BF16 (two bytes each, at the start of a new buffer); this buffer takes the rounded values. */
    Buf toBf16() {
        Buf out = new Buf(size / 2 + 1);
        for (int i = 0; i < size; i++) {
            short bits = Convert.bf16(get(i));
            out.segment.set(ValueLayout.JAVA_SHORT, 4L * GUARD + 2L * i, bits);
            set(i, Float.intBitsToFloat(bits << 16));
        }
        return out;
    }

    /** As {@link #toBf16} for half precision. */
    Buf toF16() {
        Buf out = new Buf(size / 2 + 1);
        for (int i = 0; i < size; i++) {
            short bits = Float.floatToFloat16(get(i));
            out.segment.set(ValueLayout.JAVA_SHORT, 4L * GUARD + 2L * i, bits);
            set(i, Float.float16ToFloat(bits));
        }
        return out;
    }

    Buf copy() {
        Buf out = new Buf(size);
        MemorySegment.copy(segment, 0, out.segment, 0, segment.byteSize());
        return out;
    }

    long address() {
        return segment.address() + 4L * GUARD;
    }

    long address(long index) {
        return address() + 4L * index;
    }

    float get(long index) {
        return segment.getAtIndex(ValueLayout.JAVA_FLOAT, GUARD + index);
    }

    void set(long index, float value) {
        segment.setAtIndex(ValueLayout.JAVA_FLOAT, GUARD + index, value);
    }

    /** True where nothing was written. */
    boolean untouched(long index) {
        return get(index) == CANARY;
    }

    void assertCanaries() {
        for (int i = 0; i < GUARD; i++) {
            assertThat(get(i - GUARD)).as("element %d before the buffer", i - GUARD).isEqualTo(CANARY);
            assertThat(get(size + i)).as("element %d after the buffer", i).isEqualTo(CANARY);
        }
    }
}
