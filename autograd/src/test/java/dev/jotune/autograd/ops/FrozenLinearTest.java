package dev.jotune.autograd.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Trim;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.kernels.Precision;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

/** The map over a packed weight is the map over the weight, forward and backward, with everything that joins it. */
class FrozenLinearTest {
    private static final Backend B = Backends.cpu();

    private static Var leaf(long stream, long... shape) {
        Tensor t = Tensor.empty(B, DType.F32, shape);
        B.normal(t, 3, stream);
        return Var.parameter(t);
    }

    private static FrozenMatrix packed(DType type, long out, long in) {
        return FrozenMatrix.of(leaf(9, out, in).tensor().to(type)).orElseThrow();
    }

    /** Value and gradients of {@code f} and of the definition {@code g} agree. */
    private static void same(List<Var> leaves, Function<List<Var>, Var> f, Function<List<Var>, Var> g) {
        Var got = f.apply(leaves);
        Var want = g.apply(leaves);
        close(got.tensor(), want.tensor(), "value");
        Var upstream = leaf(77, got.shape());
        List<Tensor> dGot = Gradients.of(got.mul(upstream.detach()).sum(), leaves);
        List<Tensor> dWant = Gradients.of(want.mul(upstream.detach()).sum(), leaves);
        for (int i = 0; i < leaves.size(); i++) {
            close(dGot.get(i), dWant.get(i), "gradient " + i);
        }
    }

    private static void close(Tensor got, Tensor want, String what) {
        assertThat(got.shape()).isEqualTo(want.shape());
        double[] g = got.toDoubleArray();
        double[] w = want.toDoubleArray();
        for (int i = 0; i < g.length; i++) {
            assertThat(g[i]).as(what + " " + i).isCloseTo(w[i], within(2e-4));
        }
    }

    @Test
    void everyTermJoinsAsItsDefinitionSays() {
        for (DType type : List.of(DType.F32, DType.BF16)) {
            FrozenMatrix w = packed(type, 70, 33);
            for (int terms = 0; terms < 16; terms++) {
                int bits = terms;
                List<Var> leaves = new ArrayList<>(List.of(leaf(1, 2, 9, 33), leaf(2, 2, 9, 33), leaf(3, 8, 33), leaf(4, 70, 8),
                        leaf(5, 70), leaf(6, 2, 9, 70)));
                Function<List<Var>, Terms> joined = v -> {
                    // Bit 8: A reads the input of the map itself, not one that dropout has changed.
                    Terms.LowRank low = new Terms.LowRank((bits & 8) != 0 ? v.get(0) : v.get(1), v.get(2), v.get(3), 2);
                    return new Terms((bits & 1) != 0 ? Optional.of(low) : Optional.empty(),
                            (bits & 2) != 0 ? Optional.of(v.get(4)) : Optional.empty(),
                            (bits & 4) != 0 ? Optional.of(v.get(5)) : Optional.empty());
                };
                same(leaves, v -> FrozenLinear.apply(v.get(0), w, joined.apply(v), Precision.F32),
                        v -> FrozenLinear.definition(v.get(0), w, joined.apply(v)));
            }
        }
    }

    @Test
    void secondDerivativesGoThroughTheDefinition() {
        FrozenMatrix w = packed(DType.F32, 7, 5);
        Var x = leaf(1, 3, 5);
        Var down = leaf(2, 2, 5);
        Var up = leaf(3, 7, 2);
        Terms terms = Terms.NONE.withLowRank(new Terms.LowRank(x, down, up, 1));
        same(List.of(x, down, up),
                v -> Gradients.differentiable(FrozenLinear.apply(x, w, terms, Precision.F32).square().sum(), List.of(x)).getFirst(),
                v -> Gradients.differentiable(FrozenLinear.definition(x, w, terms).square().sum(), List.of(x)).getFirst());
    }

    /** A computed factor A may be gone on the way back where no input wants a gradient: then nothing reads it. */
    @Test
    void aFactorIsNotReadForAnInputWithoutGradient() {
        FrozenMatrix w = packed(DType.F32, 70, 33);
        Var x = leaf(20, 5, 33).detach();
        Var a = leaf(21, 3, 33);
        Var b = leaf(22, 70, 3);
        Var e = leaf(23, 3, 1);
        List<Var> leaves = List.of(a, b, e);
        Supplier<Var> f = () -> Trim.apply(v -> new Var[] {FrozenLinear.apply(x, w,
                Terms.NONE.withLowRank(new Terms.LowRank(x, v[0].mul(v[2]), v[1], 0.5)), Precision.F32)}, a, b, e)[0].square().sum();
        List<Tensor> trimmed = Gradients.of(Recording.once(f), leaves);
        List<Tensor> whole = Gradients.of(f.get(), leaves);
        for (int i = 0; i < 3; i++) {
            assertThat(trimmed.get(i).toDoubleArray()).isEqualTo(whole.get(i).toDoubleArray());
        }
    }

    @Test
    void lossOverAPackedVocabularyIsTheLossOverTheMatrix() {
        FrozenMatrix w = packed(DType.F32, 300, 33);
        Var dense = Var.constant(w.dense());
        Tensor labels = Tensor.of(B, new long[] {3, -100, 299, 0, 64}, 5);
        CrossEntropy.Options options = CrossEntropy.Options.MEAN;
        same(List.of(leaf(1, 5, 33)), v -> LinearCrossEntropy.apply(v.getFirst(), w, labels, options, Precision.F32),
                v -> LinearCrossEntropy.apply(v.getFirst(), dense, labels, options));
    }

    @Test
    void rowsOfATableAreExact() {
        FrozenMatrix w = packed(DType.BF16, 100, 33);
        Tensor ids = Tensor.of(B, new long[] {99, 0, 99, 64}, 2, 2);
        assertThat(w.rows(ids).shape()).containsExactly(2, 2, 33);
        assertThat(w.rows(ids).toDoubleArray())
                .isEqualTo(Embedding.lookup(Var.constant(w.dense()), ids).tensor().toDoubleArray());
        assertThatThrownBy(() -> w.rows(Tensor.of(B, new long[] {100}, 1))).isInstanceOf(IndexOutOfBoundsException.class)
                .hasMessageContaining("row 100 of a table of 100");
    }

    @Test
    void shapesAreChecked() {
        FrozenMatrix w = packed(DType.F32, 7, 5);
        assertThatThrownBy(() -> FrozenLinear.apply(leaf(1, 3, 4), w)).hasMessageContaining("[3, 4]").hasMessageContaining("[7, 5]");
        Terms terms = Terms.NONE.withLowRank(new Terms.LowRank(leaf(1, 3, 5), leaf(2, 2, 5), leaf(3, 6, 2), 1));
        assertThatThrownBy(() -> FrozenLinear.apply(leaf(1, 3, 5), w, terms, Precision.F32)).hasMessageContaining("[6, 2]");
        assertThatThrownBy(() -> FrozenLinear.apply(leaf(1, 3, 5), w, Terms.NONE.withResidual(leaf(1, 3, 6)), Precision.F32))
                .hasMessageContaining("residual").hasMessageContaining("[3, 6]");
    }
}
