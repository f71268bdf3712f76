package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The LSTM against its formula as plain loops, and its derivatives; P-tuning's golden case compares it with torch. */
class LstmTest {
    private static Lstm.Cell cell(List<Var> v) {
        return new Lstm.Cell(v.get(1), v.get(2), v.get(3), v.get(4));
    }

    private static Tensor[] inputs(int batch, int time, int in, int size) {
        return new Tensor[] {normal(1, batch, time, in), normal(2, 4L * size, in), normal(3, 4L * size, size), normal(4, 4L * size),
            normal(5, 4L * size)};
    }

    private static double sigmoid(double x) {
        return 1 / (1 + Math.exp(-x));
    }

    private static double[] loops(Tensor[] in, boolean backward) {
        int batch = (int) in[0].size(0);
        int time = (int) in[0].size(1);
        int width = (int) in[0].size(2);
        int size = (int) in[2].size(1);
        double[] x = in[0].toDoubleArray();
        double[] w = in[1].toDoubleArray();
        double[] u = in[2].toDoubleArray();
        double[] b = in[3].toDoubleArray();
        double[] d = in[4].toDoubleArray();
        double[] out = new double[batch * time * size];
        for (int row = 0; row < batch; row++) {
            double[] h = new double[size];
            double[] c = new double[size];
            for (int n = 0; n < time; n++) {
                int t = backward ? time - 1 - n : n;
                double[] gates = new double[4 * size];
                for (int g = 0; g < gates.length; g++) {
                    gates[g] = b[g] + d[g];
                    for (int k = 0; k < width; k++) {
                        gates[g] += w[g * width + k] * x[(row * time + t) * width + k];
                    }
                    for (int k = 0; k < size; k++) {
                        gates[g] += u[g * size + k] * h[k];
                    }
                }
                for (int k = 0; k < size; k++) {
                    c[k] = sigmoid(gates[size + k]) * c[k] + sigmoid(gates[k]) * Math.tanh(gates[2 * size + k]);
                    h[k] = sigmoid(gates[3 * size + k]) * Math.tanh(c[k]);
                    out[(row * time + t) * size + k] = h[k];
                }
            }
        }
        return out;
    }

    @Test
    void everyStepIsTheFormula() {
        Tensor[] in = inputs(2, 5, 3, 4);
        List<Var> v = List.of(in).stream().map(Var::constant).toList();
        for (boolean backward : new boolean[] {false, true}) {
            assertThat(Lstm.apply(v.getFirst(), cell(v), backward).tensor().toDoubleArray())
                    .containsExactly(loops(in, backward), within(1e-13));
        }
        assertThat(Lstm.bidirectional(v.getFirst(), cell(v), cell(v)).shape()).containsExactly(2, 5, 8);
    }

    @Test
    void derivativesOfBothOrders() {
        checkTwice(v -> Lstm.apply(v.getFirst(), cell(v), false).square(), inputs(2, 3, 2, 2));
        checkTwice(v -> Lstm.bidirectional(v.getFirst(), cell(v), cell(v)), inputs(1, 3, 2, 2));
    }

    @Test
    void shapesThatDoNotFitAreRefused() {
        Tensor[] in = inputs(1, 2, 3, 2);
        List<Var> v = List.of(in).stream().map(Var::constant).toList();
        assertThatThrownBy(() -> Lstm.apply(Var.constant(normal(1, 1, 2, 4)), cell(v), false))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("[8, 3] and [8, 2] does not fit an input [1, 2, 4]");
    }
}
