package dev.jotune.tensor.io;

/**
 * IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits, largest value 65504. Narrowing rounds to nearest,
 * ties to even, and overflows to infinity.
 */
public final class Half {

    private Half() {
    }

    /** The value of 16 bits, exactly; NaN stays NaN. */
    public static float toFloat(short bits) {
        return Float.float16ToFloat(bits);
    }

    /** The nearest binary16, ties to even. */
    public static short fromFloat(float value) {
        return Float.floatToFloat16(value);
    }

    /**
     * The nearest binary16 of a double in one rounding: going through float would round twice, and twice is
     * sometimes wrong.
     */
    public static short fromDouble(double value) {
        return (short) MiniFloat.HALF.encode(value);
    }
}
