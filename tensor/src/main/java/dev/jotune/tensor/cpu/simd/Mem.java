package dev.jotune.tensor.cpu.simd;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Raw memory: one segment that covers every address, and the vector species all kernels share.
 *
 * <p>A constant segment lets the compiler drop bounds, alignment and liveness checks; segments passed as
 * parameters cost up to a third of the speed of a matrix product. Safety is the caller's business.
 */
final class Mem {
    static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    static final ByteOrder ORDER = ByteOrder.nativeOrder();
    static final VectorSpecies<Float> S = FloatVector.SPECIES_PREFERRED;
    static final VectorSpecies<Integer> SI = IntVector.SPECIES_PREFERRED;
    /**
     * Addresses are below this: {@code a &= IN} changes none and tells the compiler so, which then drops the bounds check of
     * every access at {@code a} plus a constant. A constant segment alone does not: the check against its end stays, at
     * four instructions for each load.
     */
    static final long IN = Long.MAX_VALUE >> 1;
    /** Lanes of a float vector: 4, 8 or 16. */
    static final int L = S.length();
    /** Bytes of a float vector. */
    static final int LB = 4 * L;

    private Mem() {
    }

    static float f32(long address) {
        return ALL.get(ValueLayout.JAVA_FLOAT_UNALIGNED, address);
    }

    static void f32(long address, float value) {
        ALL.set(ValueLayout.JAVA_FLOAT_UNALIGNED, address, value);
    }

    static double f64(long address) {
        return ALL.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, address);
    }

    static void f64(long address, double value) {
        ALL.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, address, value);
    }

    static short i16(long address) {
        return ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, address);
    }

    static void i16(long address, short value) {
        ALL.set(ValueLayout.JAVA_SHORT_UNALIGNED, address, value);
    }

    static int i32(long address) {
        return ALL.get(ValueLayout.JAVA_INT_UNALIGNED, address);
    }

    static void i32(long address, int value) {
        ALL.set(ValueLayout.JAVA_INT_UNALIGNED, address, value);
    }

    static long i64(long address) {
        return ALL.get(ValueLayout.JAVA_LONG_UNALIGNED, address);
    }

    static void i64(long address, long value) {
        ALL.set(ValueLayout.JAVA_LONG_UNALIGNED, address, value);
    }

    static byte i8(long address) {
        return ALL.get(ValueLayout.JAVA_BYTE, address);
    }

    static void zero(long address, long bytes) {
        if (bytes > 0) {
            ALL.asSlice(address, bytes).fill((byte) 0);
        }
    }

    static void copy(long from, long to, long bytes) {
        if (bytes > 0) {
            MemorySegment.copy(ALL, from, ALL, to, bytes);
        }
    }
}
