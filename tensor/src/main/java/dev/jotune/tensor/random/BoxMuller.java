package dev.jotune.tensor.random;

/**
 * The three functions of the Box-Muller transform, in nothing but IEEE additions, multiplications, divisions and
 * square roots of doubles: libraries' logarithms and sines differ in the last bit from machine to machine, these
 * do not, so noise is the same bit for bit wherever it is made (without contraction to fused multiply-add).
 * Errors stay below 1e-15 of the result's scale.
 */
final class BoxMuller {

    private static final double LN_2 = 0.6931471805599453;
    private static final double SQRT_2 = 1.4142135623730951;
    private static final double HALF_PI = 1.5707963267948966;
    private static final int FRACTION_BITS = 52;
    private static final long FRACTION = (1L << FRACTION_BITS) - 1;
    private static final int BIAS = 1023;
    private static final long ONE = (long) BIAS << FRACTION_BITS;
    /** Terms of the series of atanh up to s^21, where s <= 0.172 leaves less than 2^-56 of the first. */
    private static final int LOG_TERMS = 11;

    private BoxMuller() {
    }

    /** {@code sqrt(-2 ln(1 - u))} for u in [0, 1); zero stays finite. */
    static double radius(double u) {
        return Math.sqrt(-2 * ln(1 - u));
    }

    /**
     * Natural logarithm of a normal positive number: x = m 2^e with m in [sqrt(1/2), sqrt(2)], and
     * ln m = 2 atanh((m - 1) / (m + 1)).
     */
    static double ln(double x) {
        long bits = Double.doubleToRawLongBits(x);
        int exponent = (int) (bits >>> FRACTION_BITS) - BIAS;
        double m = Double.longBitsToDouble((bits & FRACTION) | ONE);
        if (m > SQRT_2) {
            m *= 0.5;
            exponent++;
        }
        double s = (m - 1) / (m + 1);
        double square = s * s;
        double sum = 0;
        for (int k = LOG_TERMS - 1; k >= 0; k--) {
            sum = sum * square + 1.0 / (2 * k + 1);
        }
        return exponent * LN_2 + 2 * s * sum;
    }

    /** {@code cos(2 pi u)} for u in [0, 1). */
    static double cosTurn(double u) {
        return sinQuarter(u, 1);
    }

    /** {@code sin(2 pi u)} for u in [0, 1). */
    static double sinTurn(double u) {
        return sinQuarter(u, 0);
    }

    /** {@code sin(2 pi u + quarters pi / 2)}: nearest quarter turn off, exactly, then a series on [-pi/4, pi/4]. */
    private static double sinQuarter(double u, int quarters) {
        int nearest = (int) (4 * u + 0.5);
        double x = (4 * u - nearest) * HALF_PI;
        int quadrant = (nearest + quarters) & 3;
        double value = (quadrant & 1) == 0 ? sinSeries(x) : cosSeries(x);
        return quadrant < 2 ? value : -value;
    }

    /** Taylor to x^17: the next term is below 1e-19 of x. */
    private static double sinSeries(double x) {
        double square = x * x;
        double sum = 1;
        for (int k = 17; k > 1; k -= 2) {
            sum = 1 - sum * square / (k * (k - 1));
        }
        return x * sum;
    }

    /** Taylor to x^16: the next term is below 1e-17. */
    private static double cosSeries(double x) {
        double square = x * x;
        double sum = 1;
        for (int k = 16; k > 0; k -= 2) {
            sum = 1 - sum * square / (k * (k - 1));
        }
        return sum;
    }
}
