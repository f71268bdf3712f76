package dev.jotune.kernels.x86;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.assertj.core.data.Offset;

/** A product in double, term by term, with the sum of its terms' magnitudes, by which errors are measured. */
final class Exact {
    private final double[] sum;
    private final double[] size;
    private final int columns;
    private int terms = 1;

    Exact(int rows, int columns) {
        sum = new double[rows * columns];
        size = new double[rows * columns];
        this.columns = columns;
    }

    static float[] random(Random random, int n) {
        float[] out = new float[n];
        for (int i = 0; i < n; i++) {
            out[i] = random.nextFloat() - 0.5f;
        }
        return out;
    }

    /** To nearest, ties to even. */
    static float[] rounded(float[] values) {
        float[] out = new float[values.length];
        for (int i = 0; i < out.length; i++) {
            int bits = Float.floatToRawIntBits(values[i]);
            out[i] = Float.intBitsToFloat(bits + 0x7fff + (bits >>> 16 & 1) & 0xffff_0000);
        }
        return out;
    }

    /** Adds {@code a [rows, k] b [k, columns]}; b is given transposed if {@code transposed}. */
    Exact plus(float[] a, float[] b, int k, boolean transposed) {
        int rows = sum.length / columns;
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                double s = 0;
                double t = 0;
                for (int p = 0; p < k; p++) {
                    double term = (double) a[i * k + p] * (transposed ? b[j * k + p] : b[p * columns + j]);
                    s += term;
                    t += Math.abs(term);
                }
                sum[i * columns + j] += s;
                size[i * columns + j] += t;
            }
        }
        terms += k;
        return this;
    }

    /** Adds {@code [columns]} to each row, or {@code [rows, columns]}. */
    Exact plus(float[] values) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += values[i % values.length];
            size[i] += Math.abs(values[i % values.length]);
        }
        terms++;
        return this;
    }

    /** Each within as many roundings of F32 as there are terms, the bound of a sum in any order. */
    void matches(float[] values, String what) {
        matches(values, what, 0);
    }

    /** The same, with {@code slack} of the terms' magnitudes more. */
    void matches(float[] values, String what, double slack) {
        for (int i = 0; i < sum.length; i++) {
            double bound = (terms * 0x1p-24 + slack) * size[i] + terms * 0x1p-126;
            if (!(Math.abs(values[i] - sum[i]) <= bound)) {
                assertThat((double) values[i]).as("%s, element (%d, %d)", what, i / columns, i % columns)
                        .isCloseTo(sum[i], Offset.offset(bound));
            }
        }
    }
}
