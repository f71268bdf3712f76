package dev.jotune.kernels.x86.gemm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.kernels.x86.asm.Ranges;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A buffer between two strips of canaries, which {@link #check} looks after; the strips are no memory that code may touch. */
final class Guarded {
    private static final int STRIP = 256;
    private static final byte CANARY = 0x6b;

    final long address;
    private final MemorySegment all;
    private final long bytes;

    Guarded(Arena arena, long bytes) {
        this.bytes = bytes;
        all = arena.allocate(bytes + 2 * STRIP, 64);
        all.fill(CANARY);
        address = all.address() + STRIP;
    }

    /** Allows emulated code to read it, and to write it if {@code writable}. */
    Guarded allow(Ranges memory, boolean writable) {
        memory.allow(address, bytes, writable);
        return this;
    }

    void check(String what) {
        for (long i = 0; i < STRIP; i++) {
            assertThat(all.get(JAVA_BYTE, i)).as("before %s", what).isEqualTo(CANARY);
            assertThat(all.get(JAVA_BYTE, STRIP + bytes + i)).as("behind %s", what).isEqualTo(CANARY);
        }
    }

    float getFloat(long index) {
        return all.get(JAVA_FLOAT_UNALIGNED, STRIP + 4 * index);
    }

    void setFloat(long index, float value) {
        all.set(JAVA_FLOAT_UNALIGNED, STRIP + 4 * index, value);
    }

    short getShort(long index) {
        return all.get(JAVA_SHORT_UNALIGNED, STRIP + 2 * index);
    }

    void setShort(long index, short value) {
        all.set(JAVA_SHORT_UNALIGNED, STRIP + 2 * index, value);
    }
}
