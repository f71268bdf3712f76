package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import org.junit.jupiter.api.Test;

/** The learnt activation: its formula, its start, its derivatives (catalogue S129, works_when). */
class RationalTest {
    private static Var vector(double... values) {
        return Var.constant(Tensor.of(Backends.reference(), DType.F64, values, values.length));
    }

    private static double[] grid(double bound) {
        double[] x = new double[1201];
        for (int i = 0; i < x.length; i++) {
            x[i] = bound * (i - 600) / 600;
        }
        return x;
    }

    @Test
    void itIsItsFormula() {
        double[] x = {-1.5, -0.2, 0, 0.7, 2};
        double[] want = new double[x.length];
        for (int i = 0; i < x.length; i++) {
            want[i] = (0.3 - 0.5 * x[i] + 2 * x[i] * x[i]) / (1 + Math.abs(0.4 * x[i] - 0.1 * x[i] * x[i]));
        }
        assertThat(Rational.apply(vector(x), vector(0.3, -0.5, 2), vector(0.4, -0.1)).tensor().toDoubleArray())
                .containsExactly(want, within(1e-14));
    }

    @Test
    void itStartsAsGelu() {
        double[] nearly = Rational.apply(vector(grid(3)), vector(Rational.geluNumerator()), vector(Rational.geluDenominator())).tensor()
                .toDoubleArray();
        assertThat(nearly).containsExactly(Activations.gelu(vector(grid(3))).tensor().toDoubleArray(), within(7e-4));
        assertThat(Rational.apply(vector(grid(4)), vector(Rational.geluNumerator()), vector(Rational.geluDenominator())).tensor()
                .toDoubleArray()).containsExactly(Activations.gelu(vector(grid(4))).tensor().toDoubleArray(), within(2e-3));
    }

    @Test
    void derivativesOfBothOrders() {
        checkTwice(v -> Rational.apply(v.get(0), v.get(1), v.get(2)).square(), normal(1, 2, 3), normal(2, 7), normal(3, 5));
    }
}
