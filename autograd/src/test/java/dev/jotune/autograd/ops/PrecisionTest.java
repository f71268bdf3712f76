package dev.jotune.autograd.ops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import dev.jotune.testing.SettledMemory;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Products whose operands are rounded to BF16: how far they are from those that are not, and what they keep. */
class PrecisionTest {
    /** BF16 has eight bits: an operand is off by at most 2^-9 of itself, a product of two by about 2^-8. */
    private static final double BOUND = 1.0 / 256;

    private static Tensor normal(long seed, long... shape) {
        Tensor t = Tensor.empty(Backends.cpu(), DType.F32, shape);
        t.backend().normal(t, seed, 0);
        return t;
    }

    /** {@code |a - b| / |b|} in the norm of all elements. */
    private static double distance(Tensor a, Tensor b) {
        double[] x = a.toDoubleArray();
        double[] y = b.toDoubleArray();
        double off = 0;
        double size = 0;
        for (int i = 0; i < x.length; i++) {
            off += (x[i] - y[i]) * (x[i] - y[i]);
            size += y[i] * y[i];
        }
        return Math.sqrt(off / size);
    }

    @Test
    void gradientsAreAsFarFromThoseInF32AsRoundingExplains() {
        Var x = Var.parameter(normal(1, 40, 65));
        Var w = Var.parameter(normal(2, 33, 65));
        List<List<Tensor>> found = new ArrayList<>();
        for (Precision p : Precision.values()) {
            Var y = Linear.apply(x, w, p);
            List<Tensor> all = new ArrayList<>(Gradients.of(y.mul(Var.constant(normal(3, 40, 33))).sum(), List.of(x, w)));
            all.add(y.tensor());
            found.add(all);
        }
        for (int i = 0; i < 3; i++) {
            assertThat(distance(found.get(1).get(i), found.get(0).get(i))).isPositive().isLessThan(BOUND);
        }
    }

    @Test
    void theLossOverAVocabularyIsThatOfRoundedLogits() {
        Var hidden = Var.parameter(normal(1, 21, 48));
        Var weight = Var.parameter(Recording.off(() -> Var.constant(normal(2, 67, 48)).mul(0.2)).tensor());
        Tensor labels = Tensor.of(Backends.cpu(), java.util.stream.LongStream.range(0, 21).map(i -> i == 5 ? -100 : i * 3).toArray(), 21);
        for (Options options : List.of(Options.MEAN, Options.SUM, Options.MEAN.withSoftcap(4))) {
            Var loss = LinearCrossEntropy.apply(hidden, weight, labels, options, Precision.BF16);
            Var plain = CrossEntropy.apply(Linear.apply(hidden, weight, Precision.BF16), labels, options);
            assertThat(loss.item()).isCloseTo(plain.item(), org.assertj.core.api.Assertions.withinPercentage(1e-4))
                    .isNotEqualTo(LinearCrossEntropy.apply(hidden, weight, labels, options).item());
            List<Tensor> got = Gradients.of(loss, List.of(hidden, weight));
            List<Tensor> want = Gradients.of(plain, List.of(hidden, weight));
            for (int i = 0; i < 2; i++) {
                // Not equal: gradients are rounded before or after the factor of the mean.
                assertThat(distance(got.get(i), want.get(i))).isLessThan(BOUND);
            }
        }
    }

    @Test
    void aFrozenWeightKeepsNothingAndAnotherHalfOfTheInput() {
        try (Scope inputs = Scope.open()) {
            Var x = Var.parameter(normal(1, 256, 512));
            Var w = Var.parameter(normal(2, 64, 512));
            // Kernels take their working memory when they first run.
            kept(x, w);
            assertThat(kept(x, w.detach())).isZero();
            assertThat(kept(x, w)).isEqualTo(2 * 256 * 512);
        }
    }

    /** Bytes that a product leaves beside its result: the most of a few, for what others left may be collected meanwhile. */
    private static long kept(Var x, Var w) {
        SettledMemory.inUse();
        long most = Long.MIN_VALUE;
        for (int i = 0; i < 5; i++) {
            most = Math.max(most, keptOnce(x, w));
        }
        return most;
    }

    private static long keptOnce(Var x, Var w) {
        long before = HostMemory.bytesInUse();
        try (Scope scope = Scope.open()) {
            Linear.apply(x, w, Precision.BF16);
            return HostMemory.bytesInUse() - before - 4 * x.size(0) * w.size(0);
        }
    }
}
