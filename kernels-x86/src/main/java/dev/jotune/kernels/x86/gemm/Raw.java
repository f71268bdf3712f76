package dev.jotune.kernels.x86.gemm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Memory by address; nothing is checked. */
final class Raw {
    static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private Raw() {
    }

    static long get(long address) {
        return ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, address);
    }

    static void set(long address, long value) {
        ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, address, value);
    }

    static void zero(long address, long bytes) {
        if (bytes > 0) {
            ALL.asSlice(address, bytes).fill((byte) 0);
        }
    }
}
