package dev.jotune.tensor.quant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.io.RawTensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** NF4 as QLoRA states it. */
class Nf4MatrixTest {
    private static final Backend B = Backends.reference();

    private static Tensor normal(long rows, long columns) {
        Tensor t = Tensor.empty(B, DType.F32, rows, columns);
        B.normal(t, 3, 1);
        return t;
    }

    @Test
    void takesFourPointOneTwoSevenBitsANumber() {
        Nf4Matrix m = Nf4Matrix.quantize(normal(128, 512));
        double bits = 8.0 * m.byteSize() / (128 * 512);
        assertThat(bits).isCloseTo(4 + 8.0 / 64 + 32.0 / (64 * 256), within(0.001));
    }

    @Test
    void quantilesAreThoseOfTheNormalDistribution() {
        // The paper's construction: 8 positive and 7 negative quantiles at equal steps to 0.9677..., and zero, scaled to [-1, 1].
        double offset = 0.5 * (1 - 1.0 / 32 + 1 - 1.0 / 30);
        float[] q = Nf4Matrix.quantiles();
        double top = inverseNormal(offset);
        for (int i = 1; i <= 8; i++) {
            assertThat(q[7 + i]).isCloseTo((float) (inverseNormal(0.5 + (offset - 0.5) * i / 8) / top), within(2e-6f));
        }
        for (int i = 1; i <= 7; i++) {
            assertThat(q[7 - i]).isCloseTo((float) (-inverseNormal(0.5 + (offset - 0.5) * i / 7) / top), within(2e-6f));
        }
        assertThat(q[7]).isZero();
    }

    /** By bisection of the integral of the density. */
    private static double inverseNormal(double p) {
        double low = 0;
        double high = 8;
        for (int i = 0; i < 60; i++) {
            double x = (low + high) / 2;
            int n = 4000;
            double sum = 0;
            for (int k = 0; k <= n; k++) {
                double t = x * k / n;
                sum += Math.exp(-t * t / 2) * (k == 0 || k == n ? 1 : k % 2 == 0 ? 2 : 4);
            }
            boolean below = 0.5 + sum * x / n / 3 / Math.sqrt(2 * Math.PI) < p;
            low = below ? x : low;
            high = below ? high : x;
        }
        return low;
    }

    @Test
    void everyNumberBecomesTheNearestQuantileOfItsBlock() {
        // 77 columns: blocks run over the ends of rows, and the last is not full.
        Tensor x = normal(19, 77);
        float[] values = x.toFloatArray();
        Nf4Matrix m = Nf4Matrix.quantize(x);
        float[] out = Dequantize.all(m, B, DType.F32).toFloatArray();
        float[] q = Nf4Matrix.quantiles();
        for (int b = 0; b * Nf4Matrix.BLOCK < values.length; b++) {
            int from = b * Nf4Matrix.BLOCK;
            int to = Math.min(values.length, from + Nf4Matrix.BLOCK);
            float largest = Bits.absMax(values, from, to - from);
            assertThat(m.magnitude(b)).isCloseTo(largest, within(0.03f * largest));
            for (int i = from; i < to; i++) {
                float scaled = values[i] / largest;
                float chosen = out[i] / m.magnitude(b);
                float best = Float.MAX_VALUE;
                for (float v : q) {
                    best = Math.min(best, Math.abs(v - scaled));
                }
                assertThat(Math.abs(chosen - scaled)).isCloseTo(best, within(1e-6f));
            }
        }
    }

    @Test
    void magnitudesAreSeparatelyScaledInGroups() {
        // The second group of blocks is a hundred times smaller than the first in its spread around the mean.
        int blocks = 2 * Nf4Matrix.GROUP;
        float[] values = new float[blocks * Nf4Matrix.BLOCK];
        for (int b = 0; b < blocks; b++) {
            float spread = b < Nf4Matrix.GROUP ? 1 : 0.01f;
            Arrays.fill(values, b * Nf4Matrix.BLOCK, (b + 1) * Nf4Matrix.BLOCK, 2 + (b % 2 == 0 ? spread : -spread));
        }
        Nf4Matrix m = Nf4Matrix.quantize(Tensor.of(B, values, blocks, Nf4Matrix.BLOCK));
        assertThat(m.scales().toFloatArray()).hasSize(2).containsExactly(new float[] {1, 0.01f}, within(1e-6f));
        assertThat(m.mean()).isCloseTo(2, within(1e-6f));
        assertThat(m.magnitude(blocks - 2)).isCloseTo(2.01f, within(2e-4f));
    }

    @Test
    void theFirstOfTwoNumbersLiesInTheHighHalf() {
        Nf4Matrix m = Nf4Matrix.quantize(Tensor.of(B, new float[] {1, -1, 0}, 1, 3));
        byte[] codes = RawTensor.of(m.codes()).data().toArray(ValueLayout.JAVA_BYTE);
        assertThat(codes).containsExactly(0xf0, 0x70);
    }

    @Test
    void zerosStayZeros() {
        Nf4Matrix m = Nf4Matrix.quantize(Tensor.zeros(B, DType.F32, 4, 64));
        assertThat(Dequantize.all(m, B, DType.F32).toFloatArray()).containsOnly(0);
    }

    @Test
    void dynamicCodeIsAscendingSymmetricAndDenseNearZero() {
        float[] v = new float[256];
        for (int i = 0; i < 256; i++) {
            v[i] = DynamicCode.decode(i);
            assertThat(DynamicCode.encode(v[i])).isEqualTo(i);
        }
        assertThat(v).isSorted();
        assertThat(v[255]).isEqualTo(1);
        assertThat(v[127]).isZero();
        for (int i = 0; i < 127; i++) {
            assertThat(v[i]).isEqualTo(-v[254 - i]);
        }
        // One value per sign in the lowest decade, 64 in the highest.
        assertThat(v[128]).isCloseTo(5.5e-7f, within(1e-13f));
        assertThat(v[254]).isCloseTo(0.1f + 0.9f * 63.5f / 64, within(1e-6f));
    }
}
