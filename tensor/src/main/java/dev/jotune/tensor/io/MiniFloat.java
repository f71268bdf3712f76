package dev.jotune.tensor.io;

/**
 * A binary floating format narrower than a double, described by its layout. Codes of one sign are ordered like
 * their values, and the step between neighbours is {@code 2^(exponent - fractionBits)}; so a code is the number
 * of steps from zero, and both directions are a few exact operations on doubles.
 *
 * @param bits         width, the sign included
 * @param fractionBits stored fraction bits
 * @param bias         exponent bias; the smallest normal number is {@code 2^(1 - bias)}
 * @param largest      code of the largest finite value
 * @param overflow     code of what is beyond it: infinity, the largest value again, or NaN
 * @param fnuz         finite, no negative zero: the code of negative zero is the only NaN
 */
record MiniFloat(int bits, int fractionBits, int bias, int largest, int overflow, boolean fnuz) {

    static final MiniFloat HALF = new MiniFloat(16, 10, 15, 0x7bff, 0x7c00, false);
    static final MiniFloat BFLOAT16 = new MiniFloat(16, 7, 127, 0x7f7f, 0x7f80, false);
    static final MiniFloat E4M3 = new MiniFloat(8, 3, 7, 0x7e, 0x7e, false);
    static final MiniFloat E5M2 = new MiniFloat(8, 2, 15, 0x7b, 0x7c, false);
    static final MiniFloat E4M3_FNUZ = new MiniFloat(8, 3, 8, 0x7f, 0x80, true);
    static final MiniFloat E5M2_FNUZ = new MiniFloat(8, 2, 16, 0x7f, 0x80, true);

    double decode(int code) {
        int signBit = 1 << (bits - 1);
        int magnitude = code & (signBit - 1);
        boolean negative = (code & signBit) != 0;
        if (magnitude > largest || (fnuz && code == signBit)) {
            boolean infinite = !fnuz && magnitude == overflow;
            return infinite ? (negative ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY) : Double.NaN;
        }
        int exponent = Math.max(magnitude >>> fractionBits, 1);
        int steps = magnitude - ((exponent - 1) << fractionBits);
        double value = Math.scalb((double) steps, exponent - bias - fractionBits);
        return negative ? -value : value;
    }

    int encode(double value) {
        int signBit = 1 << (bits - 1);
        if (value != value) {
            return nan();
        }
        double magnitude = Math.abs(value);
        int sign = Double.doubleToRawLongBits(value) < 0 ? signBit : 0;
        int exponent = Math.max(Math.getExponent(magnitude), 1 - bias);
        if (exponent > bias + 1) {
            return fnuz ? overflow : overflow | sign;
        }
        // Dividing by a power of two is exact, and rint rounds ties to even; a carry into the next binade
        // lands on that binade's first code by itself.
        long steps = (long) Math.rint(Math.scalb(magnitude, fractionBits - exponent));
        long code = steps + ((long) (exponent + bias - 1) << fractionBits);
        if (code > largest) {
            return fnuz ? overflow : overflow | sign;
        }
        return fnuz && code == 0 ? 0 : (int) code | sign;
    }

    /** All bits of the magnitude set is a NaN in every format with a signed zero. */
    private int nan() {
        return fnuz ? 1 << (bits - 1) : (1 << (bits - 1)) - 1;
    }
}
