package dev.jotune.tensor.quant;

import java.util.Arrays;

/**
 * The signed 8-bit dynamic data type (Dettmers, arXiv 1511.04561, and Dettmers et al., arXiv 2110.02861): 256 values
 * in [-1, 1], of which seven decades share the exponents; within a decade of 2^i values, these are the middles of as
 * many equal steps from 0.1 to 1. Zero and one are there too. As bitsandbytes has it, in its order.
 */
final class DynamicCode {
    private static final int DECADES = 7;
    private static final float[] VALUES = values();
    /** Between neighbours; a number above it is nearer to the upper one. */
    private static final float[] MIDDLES = middles(VALUES);

    private DynamicCode() {}

    private static float[] values() {
        float[] v = new float[256];
        int n = 0;
        for (int i = 0; i < DECADES; i++) {
            int steps = 1 << i;
            float decade = (float) Math.pow(10, i - (DECADES - 1));
            for (int k = 0; k < steps; k++) {
                float middle = (boundary(k, steps) + boundary(k + 1, steps)) / 2;
                v[n++] = decade * middle;
                v[n++] = -decade * middle;
            }
        }
        v[n++] = 0;
        v[n] = 1;
        Arrays.sort(v);
        return v;
    }

    /** Step k from 0.1 to 1, counted from the nearer end and rounded once: the original's values to the last bit. */
    private static float boundary(int k, int steps) {
        float step = (1 - 0.1f) / steps;
        return k < (steps + 1) / 2 ? Math.fma(step, k, 0.1f) : Math.fma(-step, steps - k, 1);
    }

    /** The middles between ascending values. */
    static float[] middles(float[] values) {
        float[] m = new float[values.length - 1];
        for (int i = 0; i < m.length; i++) {
            m[i] = (values[i] + values[i + 1]) / 2;
        }
        return m;
    }

    /** How many of the ascending {@code middles} lie below x: the code of the nearest value, the lower of equals. */
    static int nearest(float[] middles, float x) {
        int low = 0;
        int high = middles.length;
        while (low < high) {
            int at = (low + high) >>> 1;
            if (x > middles[at]) {
                low = at + 1;
            } else {
                high = at;
            }
        }
        return low;
    }

    static float decode(int code) {
        return VALUES[code];
    }

    static int encode(float x) {
        return nearest(MIDDLES, x);
    }
}
