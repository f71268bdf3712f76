package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Convolutions and resizing against their formulas as plain loops, and their derivatives. */
class ConvolutionTest {
    /** One geometry; pairs are (height, width). */
    private record Geometry(long[] stride, long[] padding, long[] dilation, int groups) {}

    private static double[] loops(Tensor x, Tensor w, Tensor bias, Geometry g, long[] out) {
        double[] y = new double[(int) (out[0] * out[1] * out[2] * out[3])];
        double[] xs = x.toDoubleArray();
        double[] ws = w.toDoubleArray();
        double[] bs = bias.toDoubleArray();
        long in = w.size(1);
        int at = 0;
        for (long b = 0; b < out[0]; b++) {
            for (long o = 0; o < out[1]; o++) {
                for (long h = 0; h < out[2]; h++) {
                    for (long v = 0; v < out[3]; v++, at++) {
                        y[at] = bs[(int) o];
                        for (long c = 0; c < in; c++) {
                            for (long i = 0; i < w.size(2); i++) {
                                for (long j = 0; j < w.size(3); j++) {
                                    long row = h * g.stride[0] + i * g.dilation[0] - g.padding[0];
                                    long column = v * g.stride[1] + j * g.dilation[1] - g.padding[1];
                                    if (row >= 0 && row < x.size(2) && column >= 0 && column < x.size(3)) {
                                        long channel = o / (out[1] / g.groups) * in + c;
                                        y[at] += ws[(int) (((o * in + c) * w.size(2) + i) * w.size(3) + j)]
                                                * xs[(int) (((b * x.size(1) + channel) * x.size(2) + row) * x.size(3) + column)];
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        return y;
    }

    @Test
    void everyGeometryIsItsFormula() {
        SplittableRandom random = new SplittableRandom(11);
        for (int n = 0; n < 60; n++) {
            int groups = random.nextInt(1, 4);
            int in = random.nextInt(1, 3);
            long[] kernel = {random.nextInt(1, 4), random.nextInt(1, 4)};
            Geometry g = new Geometry(new long[] {random.nextInt(1, 4), random.nextInt(1, 4)},
                    new long[] {random.nextInt(3), random.nextInt(3)}, new long[] {random.nextInt(1, 3), random.nextInt(1, 3)}, groups);
            // The transposed memory of x must not matter.
            Tensor x = normal(n, 2, groups * in, random.nextInt(5, 8), random.nextInt(5, 8)).transpose(2, 3);
            Tensor w = normal(100 + n, (long) groups * random.nextInt(1, 3), in, kernel[0], kernel[1]);
            Tensor bias = normal(200 + n, w.size(0));
            Var y = Convolution.conv2d(Var.constant(x), Var.constant(w), Optional.of(Var.constant(bias)), g.stride, g.padding,
                    g.dilation, groups);
            for (int axis = 0; axis < 2; axis++) {
                assertThat(y.size(2 + axis)).isEqualTo(
                        (x.size(2 + axis) + 2 * g.padding[axis] - g.dilation[axis] * (kernel[axis] - 1) - 1) / g.stride[axis] + 1);
            }
            assertThat(y.tensor().toDoubleArray()).as("case %d", n)
                    .containsExactly(loops(x, w, bias, g, y.shape()), within(1e-12));
        }
    }

    @Test
    void derivativesOfBothOrders() {
        checkTwice(v -> Convolution.conv1d(v.get(0), v.get(1), Optional.of(v.get(2)), 2, 1, 1, 1).square(),
                normal(1, 2, 3, 6), normal(2, 2, 3, 3), normal(3, 2));
        checkTwice(v -> Convolution.conv1d(v.get(0), v.get(1), Optional.empty(), 1, 2, 2, 3), normal(1, 2, 3, 5), normal(2, 3, 1, 2));
        checkTwice(v -> Convolution.conv1d(v.get(0), v.get(1), Optional.empty(), 1, 0, 1, 2), normal(1, 2, 2, 4), normal(2, 4, 1, 3));
        checkTwice(v -> Convolution.conv2d(v.get(0), v.get(1), Optional.of(v.get(2)), new long[] {1, 2}, new long[] {1, 0},
                new long[] {1, 1}, 2).square(), normal(1, 1, 4, 3, 4), normal(2, 2, 2, 2, 2), normal(3, 2));
        checkTwice(v -> Convolution.conv2d(v.get(0), v.get(1), Optional.empty(), new long[] {2, 2}, new long[] {0, 0},
                new long[] {1, 1}, 1).square(), normal(1, 2, 1, 4, 5), normal(2, 2, 1, 2, 2));
    }

    @Test
    void depthwiseOverTimeIsTheSameWithChannelsLast() {
        for (long k = 1; k <= 4; k++) {
            Tensor x = normal(k, 2, 5 + k, 3);
            Var w = Var.constant(normal(10 + k, 3, 1, k));
            Var bias = Var.constant(normal(20 + k, 3));
            for (Optional<Var> b : List.of(Optional.of(bias), Optional.<Var>empty())) {
                assertThat(Convolution.depthwise(Var.constant(x), w, b).tensor().toDoubleArray()).containsExactly(Convolution.conv1d(
                        Var.constant(x.transpose(1, 2)), w, b, 1, 0, 1, 3).tensor().transpose(1, 2).toDoubleArray(), within(1e-13));
            }
        }
        checkTwice(v -> Convolution.depthwise(v.get(0), v.get(1), Optional.of(v.get(2))).square(), normal(1, 2, 4, 2),
                normal(2, 2, 1, 3), normal(3, 2));
        assertThatThrownBy(() -> Convolution.depthwise(Var.constant(normal(1, 2, 4, 3)), Var.constant(normal(2, 2, 1, 3)), Optional.empty()))
                .hasMessageContaining("[2, 4, 3], [2, 1, 3]");
    }

    @Test
    void resizedGrids() {
        for (Resize.Method method : Resize.Method.values()) {
            checkTwice(v -> Resize.apply(v.getFirst(), 5, 2, method).square(), normal(1, 2, 3, 4));
            Var x = Var.constant(normal(1, 2, 3, 4));
            assertThat(Resize.apply(x, 3, 4, method).tensor().toDoubleArray()).as("the same size changes nothing")
                    .containsExactly(x.tensor().toDoubleArray(), within(1e-15));
            double[] constant = new double[2 * 9 * 5];
            Arrays.fill(constant, 7);
            assertThat(Resize.apply(Var.constant(Tensor.full(x.backend(), x.dtype(), 7, 2, 2, 3)), 9, 5, method).tensor()
                    .toDoubleArray()).as("a constant stays one").containsExactly(constant, within(1e-13));
            assertThatThrownBy(() -> Resize.apply(x, 0, 4, method)).hasMessageContaining("to 0 x 4");
        }
    }

    @Test
    void whatDoesNotFitIsRefused() {
        Var x = Var.constant(normal(1, 2, 4, 5));
        Var w = Var.constant(normal(2, 6, 2, 3));
        assertThatThrownBy(() -> Convolution.conv1d(x, w, Optional.empty(), 1, 0, 1, 3)).hasMessageContaining("4 channels in 3 groups");
        assertThatThrownBy(() -> Convolution.conv1d(x, w, Optional.empty(), 1, 0, 3, 2)).hasMessageContaining("reaches over 7");
        assertThatThrownBy(() -> Convolution.conv1d(x, w, Optional.empty(), 0, 0, 1, 2)).hasMessageContaining("stride 0");
        assertThatThrownBy(() -> Convolution.conv1d(x, w, Optional.of(Var.constant(normal(3, 5))), 1, 0, 1, 2))
                .hasMessageContaining("6 output channels got a bias of shape [5]");
        assertThatThrownBy(() -> Convolution.conv1d(w, x.reshape(-1), Optional.empty(), 1, 0, 1, 1))
                .hasMessageContaining("conv1d needs x [B, Cin, T]");
        assertThat(Convolution.conv1d(x, w, Optional.empty(), 1, 0, 1, 2).shape()).containsExactly(2, 6, 3);
    }
}
