package dev.jotune.kernels.x86.asm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** The memory that emulated code may touch; a step outside is an error, not a crash. Without any range everything is allowed. */
public final class Ranges {
    private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private record Range(long from, long to, boolean writable) {}

    private final List<Range> ranges = new ArrayList<>();

    /** Allows reading, and writing if {@code writable}. */
    public void allow(long address, long bytes, boolean writable) {
        ranges.add(new Range(address, address + bytes, writable));
    }

    /** Allows writing if anything is forbidden at all. */
    public void allowIfLimited(long address, long bytes) {
        Range range = new Range(address, address + bytes, true);
        if (!ranges.isEmpty() && !ranges.contains(range)) {
            ranges.add(range);
        }
    }

    private void check(long address, long bytes, boolean write) {
        for (Range r : ranges) {
            if (address >= r.from && address + bytes <= r.to && (r.writable || !write)) {
                return;
            }
        }
        if (!ranges.isEmpty()) {
            throw new AssertionError((write ? "A write" : "A read") + " of " + bytes + " bytes at " + Long.toHexString(address)
                    + " is outside of what the code may touch: " + ranges);
        }
    }

    void read(long address, byte[] into, int offset, int bytes) {
        check(address, bytes, false);
        MemorySegment.copy(ALL, ValueLayout.JAVA_BYTE, address, into, offset, bytes);
    }

    void write(long address, byte[] from, int offset, int bytes) {
        check(address, bytes, true);
        MemorySegment.copy(from, offset, ALL, ValueLayout.JAVA_BYTE, address, bytes);
    }

    long load(long address, int bytes) {
        check(address, bytes, false);
        return bytes == 8 ? ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, address)
                : ALL.get(ValueLayout.JAVA_INT_UNALIGNED, address) & 0xffff_ffffL;
    }

    void store(long address, long value, int bytes) {
        check(address, bytes, true);
        if (bytes == 8) {
            ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, address, value);
        } else {
            ALL.set(ValueLayout.JAVA_INT_UNALIGNED, address, (int) value);
        }
    }
}
