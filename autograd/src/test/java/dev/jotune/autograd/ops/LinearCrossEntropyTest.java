package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.SettledMemory;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The fused vocabulary product and loss: memory, special labels, what it refuses. */
class LinearCrossEntropyTest {
    private static final int ROWS = 512;
    private static final int CLASSES = 1000;
    private static final int HIDDEN = 4;

    private static Tensor labels(long... y) {
        return Tensor.of(Backends.reference(), y, y.length);
    }

    private static long peak(java.util.function.BiFunction<Var, Var, Var> loss) {
        Var hidden = Var.parameter(normal(1, ROWS, HIDDEN));
        Var weight = Var.parameter(normal(2, CLASSES, HIDDEN));
        long before = SettledMemory.inUse();
        try (Scope scope = Scope.open()) {
            Gradients.of(loss.apply(hidden, weight), List.of(hidden, weight));
        }
        return HostMemory.peakBytes() - before;
    }

    @Test
    void theLogitsOfTheWholeBatchAreNeverStored() {
        long[] y = new long[ROWS];
        java.util.Arrays.setAll(y, i -> i * 7L % CLASSES);
        long logits = 8L * ROWS * CLASSES;
        assertThat(peak((h, w) -> LinearCrossEntropy.definition(h, w, labels(y), Options.MEAN)))
                .isGreaterThan(2 * logits);
        assertThat(peak((h, w) -> LinearCrossEntropy.apply(h, w, labels(y), Options.MEAN, 16))).isLessThan(logits / 4);
        assertThat(peak((h, w) -> LinearCrossEntropy.apply(h, w, labels(y), Options.MEAN.withSoftcap(3), 16))).isLessThan(logits / 4);
    }

    @Test
    void withoutAGradientOnlyTheLossIsComputed() {
        Var hidden = Var.constant(normal(1, 3, HIDDEN));
        Var weight = Var.constant(normal(2, 5, HIDDEN));
        Var loss = LinearCrossEntropy.apply(hidden, weight, labels(1, 2, 3));
        assertThat(loss.requiresGrad()).isFalse();
        assertThat(loss.item()).isEqualTo(LinearCrossEntropy.definition(hidden, weight, labels(1, 2, 3), Options.MEAN)
                .item());
        Var p = Var.parameter(normal(1, 3, HIDDEN));
        assertThat(Recording.off(() -> LinearCrossEntropy.apply(p, weight, labels(1, 2, 3))).item())
                .isEqualTo(loss.item());
    }

    @Test
    void whereEveryLabelIsIgnoredTheMeanIsNaNAndTheSumIsZero() {
        Var hidden = Var.parameter(normal(1, 2, HIDDEN));
        Var weight = Var.parameter(normal(2, 5, HIDDEN));
        Tensor none = labels(-100, -100);
        assertThat(LinearCrossEntropy.apply(hidden, weight, none).item()).isNaN();
        assertThat(CrossEntropy.apply(Linear.apply(hidden, weight), none).item()).isNaN();
        Var sum = LinearCrossEntropy.apply(hidden, weight, none, Options.SUM);
        assertThat(sum.item()).isZero();
        assertThat(Gradients.of(sum, List.of(hidden, weight)))
                .allSatisfy(g -> assertThat(g.toDoubleArray()).containsOnly(0));
    }

    @Test
    void labelsThatAreNoClassesAndShapesThatDoNotFitAreRefused() {
        Var hidden = Var.parameter(normal(1, 2, HIDDEN));
        Var weight = Var.parameter(normal(2, 5, HIDDEN));
        assertThatThrownBy(() -> LinearCrossEntropy.apply(hidden, weight, labels(1, 5)))
                .isInstanceOf(IndexOutOfBoundsException.class).hasMessageContaining("label 5 at position 1");
        assertThatThrownBy(() -> CrossEntropy.apply(Linear.apply(hidden, weight), labels(-1, 0)))
                .isInstanceOf(IndexOutOfBoundsException.class).hasMessageContaining("label -1 at position 0");
        assertThatThrownBy(() -> LinearCrossEntropy.apply(hidden, weight, labels(1))).hasMessageContaining("[2, 4]");
        assertThatThrownBy(() -> LinearCrossEntropy.apply(hidden, weight, labels(1, 2),
                Options.MEAN.withLabelSmoothing(0.1)))
                .hasMessageContaining("smoothing");
        assertThatThrownBy(() -> Options.MEAN.withLabelSmoothing(2)).hasMessageContaining("2.0");
        assertThatThrownBy(() -> LinearCrossEntropy.apply(hidden, weight, labels(1, 2), Options.MEAN, 0))
                .hasMessageContaining("0 rows");
    }
}
