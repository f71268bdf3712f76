package dev.jotune.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Reads and writes single elements of any type at raw addresses, widened to double. Scalar and slow on purpose. */
public final class Elements {
    private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    private static final ValueLayout.OfDouble F64 = ValueLayout.JAVA_DOUBLE_UNALIGNED;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort S16 = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfLong S64 = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfInt S32 = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfByte S8 = ValueLayout.JAVA_BYTE;

    private Elements() {}

    /** The element at byte address {@code a}. I64 beyond 2^53 loses its low bits: use {@link #getLong}. */
    public static double get(DType type, long a) {
        return switch (type) {
            case F64 -> ALL.get(F64, a);
            case F32 -> ALL.get(F32, a);
            case F16 -> Float.float16ToFloat(ALL.get(S16, a));
            case BF16 -> Float.intBitsToFloat(ALL.get(S16, a) << 16);
            case I64 -> ALL.get(S64, a);
            case I32 -> ALL.get(S32, a);
            case I8 -> ALL.get(S8, a);
            case U8 -> ALL.get(S8, a) & 0xff;
            case BOOL -> ALL.get(S8, a) != 0 ? 1 : 0;
        };
    }

    /** The element as an integer; fractions are cut off. */
    public static long getLong(DType type, long a) {
        return type == DType.I64 ? ALL.get(S64, a) : (long) get(type, a);
    }

    /** Stores {@code v}, rounding to nearest even; integers cut off fractions, BOOL stores {@code v != 0}. */
    public static void put(DType type, long a, double v) {
        switch (type) {
            case F64 -> ALL.set(F64, a, v);
            case F32 -> ALL.set(F32, a, (float) v);
            case F16 -> ALL.set(S16, a, Float.floatToFloat16(roundToOdd(v)));
            case BF16 -> ALL.set(S16, a, bfloat16(roundToOdd(v)));
            case I64 -> ALL.set(S64, a, (long) v);
            case I32 -> ALL.set(S32, a, (int) v);
            case I8 -> ALL.set(S8, a, (byte) v);
            case U8 -> ALL.set(S8, a, (byte) (int) v);
            case BOOL -> ALL.set(S8, a, (byte) (v != 0 ? 1 : 0));
        }
    }

    /**
     * The float next to {@code v} towards zero, its last bit set if digits were lost: rounding that once more to a
     * shorter type gives what one rounding would have given.
     */
    private static float roundToOdd(double v) {
        float f = (float) v;
        int bits = Float.floatToRawIntBits(f);
        if (f == v || Double.isNaN(v) || (bits & 1) != 0) {
            return f;
        }
        return Float.intBitsToFloat(Math.abs((double) f) < Math.abs(v) ? bits + 1 : bits - 1);
    }

    /** Stores an integer without going through double. */
    public static void putLong(DType type, long a, long v) {
        if (type == DType.I64) {
            ALL.set(S64, a, v);
        } else {
            put(type, a, v);
        }
    }

    /** The nearest bfloat16, ties to even; NaN stays NaN. */
    public static short bfloat16(float f) {
        int bits = Float.floatToRawIntBits(f);
        if ((bits & 0x7fffffff) > 0x7f800000) {
            return (short) ((bits >>> 16) | 0x40);
        }
        return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    }
}
