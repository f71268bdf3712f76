package dev.jotune.autograd;

import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.SettledMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;

/** What the walk frees, and what it must not. */
class ReleaseTest {
    private static final int C = 8;

    private record Run(List<double[]> gradients, long leftBytes, double loss) {}

    private static Run run(BiFunction<Var, List<Var>, List<Tensor>> walk) {
        try (Scope inputs = Scope.open()) {
            return measured(walk);
        }
    }

    private static Run measured(BiFunction<Var, List<Var>, List<Tensor>> walk) {
        List<Var> parameters = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            parameters.add(Var.parameter(normal(i, C, C)));
        }
        Var input = Var.constant(normal(9, 128, C));
        long before = SettledMemory.inUse();
        try (Scope scope = Scope.open()) {
            Var x = input;
            for (Var p : parameters) {
                // Views, residuals and a value used twice, of which each shares memory with another.
                Var h = Activations.silu(Linear.apply(x.reshape(2, -1, C), p)).reshape(-1, C);
                x = x.add(h).add(h.transpose(0, 1).transpose(0, 1));
            }
            Var loss = x.square().mean();
            List<Tensor> gradients = walk.apply(loss, parameters);
            return new Run(gradients.stream().map(Tensor::toDoubleArray).toList(), HostMemory.bytesInUse() - before,
                    loss.item());
        }
    }

    @Test
    void aWalkThatConsumesTheGraphGivesTheSameGradientsAndFreesIt() {
        Run kept = run(Gradients::of);
        Run consumed = run(Gradients::consume);
        for (int i = 0; i < kept.gradients().size(); i++) {
            assertThat(consumed.gradients().get(i)).isEqualTo(kept.gradients().get(i));
        }
        assertThat(consumed.loss()).isEqualTo(kept.loss());
        assertThat(consumed.leftBytes()).isLessThan(kept.leftBytes() / 3);
    }

    @Test
    void gradientsOfTheWalkItselfAreFreedAndParametersStay() {
        Var p = Var.parameter(normal(1, 64, C));
        long before = SettledMemory.inUse();
        List<Tensor> g;
        try (Scope scope = Scope.open()) {
            Var loss = p.mul(2).exp().square().transpose(0, 1).sum();
            long forward = HostMemory.bytesInUse();
            g = Gradients.of(loss, List.of(p));
            // The result and nothing else.
            assertThat(HostMemory.bytesInUse() - forward).isLessThanOrEqualTo(2 * 64 * C * 8L);
            scope.keep(g.getFirst());
        }
        assertThat(p.tensor().toDoubleArray()).isEqualTo(normal(1, 64, C).toDoubleArray());
        assertThat(g.getFirst().toDoubleArray()).hasSize(64 * C);
        assertThat(HostMemory.bytesInUse()).isGreaterThan(before);
    }

    @Test
    void constantsThatGradientsFlowAroundAreNotFreed() {
        Var p = Var.parameter(normal(1, 3));
        Var c = Var.constant(normal(2, 3));
        try (Scope scope = Scope.open()) {
            Gradients.consume(p.mul(c).add(c.reshape(3)).sum(), List.of(p));
        }
        assertThat(c.tensor().toDoubleArray()).hasSize(3);
    }
}
