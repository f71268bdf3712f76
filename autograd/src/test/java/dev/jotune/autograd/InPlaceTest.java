package dev.jotune.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.ops.Linear;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.FiniteDifference;
import java.util.List;
import org.junit.jupiter.api.Test;

class InPlaceTest {
    private static Tensor noise(long seed, long... shape) {
        Tensor t = Tensor.empty(Backends.reference(), DType.F64, shape);
        t.backend().normal(t, seed, 0);
        return t;
    }

    private static Var lowRank(List<Var> v) {
        return InPlace.addMatmul(Linear.apply(v.get(0), v.get(1)), Linear.apply(v.get(0), v.get(2)), v.get(3));
    }

    @Test
    void computesAndDifferentiatesLikeTheSum() {
        List<Tensor> in = List.of(noise(1, 2, 3, 4), noise(2, 5, 4), noise(3, 2, 4), noise(4, 5, 2));
        List<Var> v = in.stream().map(Var::parameter).toList();
        Var sum = Linear.apply(v.get(0), v.get(1)).add(Linear.apply(Linear.apply(v.get(0), v.get(2)), v.get(3)));
        assertThat(lowRank(v).tensor().toDoubleArray()).usingComparatorWithPrecision(1e-12).containsExactly(sum.tensor().toDoubleArray());
        FiniteDifference.check(x -> lowRank(x).square().sum(), in.toArray(Tensor[]::new));
        FiniteDifference.checkTwice(x -> lowRank(x).square().sum(), in.toArray(Tensor[]::new));
    }

    @Test
    void writesOverTheSum() {
        Var sum = Linear.apply(Var.constant(noise(1, 3, 4)), Var.constant(noise(2, 5, 4)));
        assertThat(InPlace.addMatmul(sum, Var.constant(noise(3, 3, 2)), Var.constant(noise(4, 5, 2))).tensor().storage())
                .isSameAs(sum.tensor().storage());
    }

    @Test
    void neverOverwritesALeaf() {
        Var leaf = Var.parameter(noise(1, 3, 5));
        assertThatThrownBy(() -> InPlace.addMatmul(leaf, Var.constant(noise(3, 3, 2)), Var.constant(noise(4, 5, 2))))
                .hasMessageContaining("leaf");
    }
}
