package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.check;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Noise;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Dropout of the probabilities of attention. */
class AttentionNoiseTest {
    private static final int B = 3;
    private static final int H = 4;
    private static final int T = 16;
    private static final int PREFIX = 5;
    private static final int D = 6;
    private static final int KEYS = PREFIX + T;
    private static final double P = 0.3;
    private static final Noise NOISE = new Noise(P, 7, 3);

    /** Values that are unit vectors: the output is the probabilities. */
    private static Var units(int from, int keys) {
        double[] values = new double[keys * KEYS];
        for (int k = 0; k < keys; k++) {
            values[k * KEYS + from + k] = 1;
        }
        double[] all = new double[H * values.length];
        for (int h = 0; h < H; h++) {
            System.arraycopy(values, 0, all, h * values.length, values.length);
        }
        return Var.constant(Tensor.of(Backends.reference(), DType.F64, all, 1, H, keys, KEYS));
    }

    private static Result attend(Noise noise) {
        Var query = Var.constant(normal(1, B, H, T, D));
        return Attention.attend(query, List.of(new Segment(Var.constant(normal(2, 1, H, PREFIX, D)), units(0, PREFIX), Visible.ALL),
                new Segment(Var.constant(normal(3, 1, H, T, D)), units(PREFIX, T), Visible.ALL)), 0.4, 0, noise);
    }

    @Test
    void aProbabilityIsDroppedOrScaled() {
        double[] all = attend(Noise.NONE).out().tensor().toDoubleArray();
        double[] left = attend(NOISE).out().tensor().toDoubleArray();
        int dropped = 0;
        for (int i = 0; i < all.length; i++) {
            if (left[i] == 0) {
                dropped++;
            } else {
                assertThat(left[i]).isCloseTo(all[i] / (1 - P), within(1e-12));
            }
        }
        // 4032 probabilities: four standard deviations.
        assertThat((double) dropped / all.length).isCloseTo(P, within(4 * Math.sqrt(P * (1 - P) / all.length)));
    }

    @Test
    void segmentsHaveNoiseOfTheirOwnAndTheLogSumExpHasNone() {
        Result noisy = attend(NOISE);
        double[] left = noisy.out().tensor().toDoubleArray();
        int same = 0;
        for (int row = 0; row < B * H * T; row++) {
            for (int k = 0; k < PREFIX; k++) {
                same += (left[row * KEYS + k] == 0) == (left[row * KEYS + PREFIX + k] == 0) ? 1 : 0;
            }
        }
        int pairs = B * H * T * PREFIX;
        double agreement = P * P + (1 - P) * (1 - P);
        assertThat((double) same / pairs).isCloseTo(agreement, within(4 * Math.sqrt(agreement * (1 - agreement) / pairs)));
        assertThat(noisy.lse().tensor().toDoubleArray()).containsExactly(attend(Noise.NONE).lse().tensor().toDoubleArray());
    }

    @Test
    void theSameStreamGivesTheSameNoise() {
        assertThat(attend(NOISE).out().tensor().toDoubleArray()).containsExactly(attend(NOISE).out().tensor().toDoubleArray());
        assertThat(attend(NOISE).out().tensor().toDoubleArray())
                .isNotEqualTo(attend(new Noise(P, 7, 4)).out().tensor().toDoubleArray());
    }

    @Test
    void gradientsAreThoseOfTheKeysThatAreLeft() {
        check(v -> Attention.attend(v.get(0), List.of(new Segment(v.get(1), v.get(2), Visible.ALL), new Segment(v.get(3), v.get(4),
                Visible.causal(0))), 0.6, 0, NOISE).out(), normal(1, 2, 4, 3, 2), normal(2, 1, 2, 2, 2), normal(3, 1, 2, 2, 3),
                normal(4, 2, 2, 3, 2), normal(5, 2, 2, 3, 3));
    }
}
