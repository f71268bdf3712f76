package dev.jotune.autograd;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.SettledMemory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Recomputation gives the same numbers for less memory. */
class CheckpointTest {
    private static final int C = 16;
    private static final int ROWS = 256;
    private static final int LAYERS = 6;

    private final List<Var> parameters = new ArrayList<>();

    CheckpointTest() {
        for (int i = 0; i < LAYERS; i++) {
            parameters.add(Var.parameter(normal(100 + i, C, C)));
            parameters.add(Var.parameter(normal(200 + i, C)));
        }
    }

    private Var layer(int i, Var x) {
        Var h = Activations.silu(Linear.apply(Norms.rmsNorm(x, parameters.get(2 * i + 1), 1e-6),
                parameters.get(2 * i)));
        return x.add(Dropout.apply(h, 0.2, 7, i));
    }

    private record Run(double loss, List<double[]> gradients, long peak) {}

    private Run run(boolean checkpoint) {
        long before = SettledMemory.inUse();
        try (Scope scope = Scope.open()) {
            Var x = Var.constant(normal(1, ROWS, C));
            for (int i = 0; i < LAYERS; i++) {
                int layer = i;
                x = checkpoint ? Checkpoint.apply(in -> new Var[] {layer(layer, in[0])}, x)[0] : layer(i, x);
            }
            Var loss = x.square().mean();
            double value = loss.item();
            List<double[]> gradients = Gradients.consume(loss, parameters).stream().map(Tensor::toDoubleArray).toList();
            return new Run(value, gradients, HostMemory.peakBytes() - before);
        }
    }

    @Test
    void gradientsAreTheSameBitForBitAndThePeakIsLower() {
        Run plain = run(false);
        Run again = run(true);
        assertThat(again.loss()).isEqualTo(plain.loss());
        for (int i = 0; i < parameters.size(); i++) {
            assertThat(again.gradients().get(i)).as("parameter " + i).isEqualTo(plain.gradients().get(i));
        }
        assertThat(again.peak()).isLessThan(plain.peak() / 2);
    }

    @Test
    void capturedParametersAndCapturedIntermediateValuesGetTheirGradients() {
        checkTwice(v -> {
            // A value computed before, as a generated prefix is, and a parameter, both captured and not passed.
            Var generated = v.get(1).exp();
            Var[] out = Checkpoint.apply(in -> new Var[] {in[0].mul(generated).add(v.get(2)), in[0], in[0].square()},
                    v.get(0).mul(2));
            return out[0].add(out[1]).add(out[2]).add(generated);
        }, normal(1, 3), normal(2, 3), normal(3, 3));
    }

    @Test
    void anOutputThatNobodyUsesDoesNoHarm() {
        checkTwice(v -> Checkpoint.apply(in -> new Var[] {in[0].exp(), in[0].square()}, v.get(0))[1], normal(4, 3));
    }

    @Test
    void withoutAGradientNothingIsRecorded() {
        Var x = Var.constant(normal(5, 3));
        assertThat(Checkpoint.apply(in -> new Var[] {in[0].exp()}, x)[0].requiresGrad()).isFalse();
        Var p = Var.parameter(normal(5, 3));
        assertThat(Recording.off(() -> Checkpoint.apply(in -> new Var[] {in[0].exp()}, p)[0]).requiresGrad()).isFalse();
        Var[] mixed = Checkpoint.apply(in -> new Var[] {in[0].exp(), x}, p);
        assertThat(mixed[0].requiresGrad()).isTrue();
        assertThat(mixed[1].requiresGrad()).isFalse();
    }
}
