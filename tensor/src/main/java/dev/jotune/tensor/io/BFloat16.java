package dev.jotune.tensor.io;

/**
 * bfloat16: the upper half of an IEEE binary32, so 1 sign, 8 exponent and 7 fraction bits. Narrowing rounds to
 * nearest, ties to even, and overflows to infinity.
 */
public final class BFloat16 {

    private static final int FRACTION_BITS_DROPPED = 16;
    private static final short QUIET_BIT = 0x40;

    private BFloat16() {
    }

    /** The value of 16 bits, exactly; NaN stays NaN. */
    public static float toFloat(short bits) {
        return Float.intBitsToFloat(bits << FRACTION_BITS_DROPPED);
    }

    /** The nearest bfloat16, ties to even. */
    public static short fromFloat(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (value != value) {
            // Cutting could leave an all-zero fraction, which would be infinity.
            return (short) ((bits >>> FRACTION_BITS_DROPPED) | QUIET_BIT);
        }
        // Adding just under half of the last kept bit, plus that bit itself, carries exactly when
        // round-to-nearest-even rounds up; a carry out of the fraction moves on into the exponent as it should.
        int lastKept = (bits >>> FRACTION_BITS_DROPPED) & 1;
        return (short) ((bits + 0x7fff + lastKept) >>> FRACTION_BITS_DROPPED);
    }

    /** The nearest bfloat16 of a double, in one rounding. */
    public static short fromDouble(double value) {
        return (short) MiniFloat.BFLOAT16.encode(value);
    }
}
