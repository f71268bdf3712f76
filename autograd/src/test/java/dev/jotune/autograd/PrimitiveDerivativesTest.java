package dev.jotune.autograd;

import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static dev.jotune.testing.FiniteDifference.uniform;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.function.BinaryOperator;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** First and second derivatives of arithmetic, views, reductions, products and look-ups against differences. */
class PrimitiveDerivativesTest {
    private static final long[][][] PAIRS = {
        {{3, 4}, {3, 4}}, {{3, 4}, {4}}, {{4}, {3, 4}}, {{3, 1}, {1, 4}}, {{2, 1, 3}, {4, 1}}, {{}, {2, 3}},
                {{5, 1}, {}},
    };

    @TestFactory
    Stream<DynamicTest> arithmeticStretchesBothWays() {
        Map<String, BinaryOperator<Var>> operations = Map.of("add", Var::add, "sub", Var::sub, "mul", Var::mul, "div",
                Var::div);
        return operations.entrySet().stream().map(op -> DynamicTest.dynamicTest(op.getKey(), () -> {
            for (long[][] shapes : PAIRS) {
                checkTwice(v -> op.getValue().apply(v.get(0), v.get(1)), normal(1, shapes[0]),
                        uniform(2, 0.5, 2, shapes[1]));
            }
        }));
    }

    @TestFactory
    Stream<DynamicTest> functionsOfOneNumber() {
        Map<String, UnaryOperator<Var>> operations = Map.of("neg", Var::neg, "exp", Var::exp, "log", Var::log, "sqrt",
                Var::sqrt,
                "rsqrt", Var::rsqrt, "square", Var::square, "add number", v -> v.add(3), "times number", v -> v.mul(3));
        return operations.entrySet().stream().map(op -> DynamicTest.dynamicTest(op.getKey(),
                () -> checkTwice(v -> op.getValue().apply(v.getFirst()), uniform(3, 0.5, 2, 3, 5))));
    }

    @TestFactory
    Stream<DynamicTest> viewsAndReductions() {
        Map<String, UnaryOperator<Var>> operations = Map.of(
                "reshape", v -> v.reshape(3, -1), "permute", v -> v.permute(2, 0, 1),
                "transpose", v -> v.transpose(0, -1),
                "reshape of permuted", v -> v.permute(2, 0, 1).reshape(-1, 2), "slice", v -> v.slice(1, 1, 3),
                "select", v -> v.select(2, 3), "expand", v -> v.slice(0, 0, 1).expandTo(5, 3, 4),
                "sum of axes", v -> v.sum(0, -1), "mean", Var::mean, "sumTo", v -> v.sumTo(3, 1));
        return operations.entrySet().stream().map(op -> DynamicTest.dynamicTest(op.getKey(), () -> {
            // Squared behind the operation, so that the second derivative is not zero.
            checkTwice(v -> op.getValue().apply(v.getFirst()).square(), normal(4, 2, 3, 4));
        }));
    }

    @Test
    void windowsAddUpWhereTheyOverlap() {
        // size, step, dilation over axis 1 of 7 elements: overlapping, touching, with gaps, spread, the whole axis
        for (long[] w : new long[][] {{3, 1, 1}, {3, 2, 1}, {2, 2, 1}, {2, 3, 1}, {3, 1, 3}, {2, 2, 2}, {7, 1, 1}, {1, 1, 1}}) {
            checkTwice(v -> v.getFirst().unfold(1, w[0], w[1], w[2]).square(), normal(4, 2, 7, 3));
        }
        checkTwice(v -> v.getFirst().transpose(0, 1).unfold(0, 3, 2, 1).unfold(1, 2, 1, 1).square(), normal(4, 3, 7));
        checkTwice(v -> v.getFirst().pad(1, 2, 1).square(), normal(4, 2, 3));
        assertThatThrownBy(() -> Var.constant(normal(4, 2, 7)).unfold(1, 3, 1, 4)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("one window must fit");
    }

    @Test
    void concatSendsEveryPartItsOwnGradient() {
        checkTwice(v -> Var.concat(1, v.get(0), v.get(1), v.get(0)).square(), normal(5, 2, 3), normal(6, 2, 1));
        checkTwice(v -> Var.concat(0, v.get(0), v.get(1)).square(), normal(5, 2, 3), normal(6, 0, 3));
    }

    @Test
    void matrixProductsStretchTheirLeadingAxes() {
        long[][][] shapes = {{{3, 4}, {4, 2}}, {{2, 3, 4}, {4, 2}}, {{3, 4}, {2, 4, 1}}, {{2, 1, 3, 2}, {3, 2, 2}},
            {{1, 1}, {1, 1}}, {{2, 0, 3}, {3, 2}}, {{2, 3, 0}, {0, 2}}};
        for (long[][] s : shapes) {
            checkTwice(v -> v.get(0).matmul(v.get(1)), normal(7, s[0]), normal(8, s[1]));
        }
        checkTwice(v -> v.get(0).transpose(0, 1).matmul(v.get(0)), normal(7, 3, 2));
    }

    @Test
    void gatheringAndScatteringAddRepeatedRows() {
        Tensor ids = Tensor.of(Backends.reference(), new long[] {1, 3, 1, 0, 1, 3}, 2, 3);
        checkTwice(v -> Lookup.gather(v.getFirst(), ids).square(), normal(9, 4, 2));
        checkTwice(v -> Lookup.scatterAdd(v.getFirst(), ids, 5).square(), normal(10, 2, 3, 2));
        Tensor along = Tensor.of(Backends.reference(), new long[] {1, 1, 0, 2, 3, 3}, 3, 2);
        checkTwice(v -> Lookup.alongLast(v.getFirst(), along).square(), normal(11, 3, 4));
    }

    @Test
    void aValueUsedTwiceGetsBothGradients() {
        checkTwice(v -> v.get(0).mul(v.get(0)).add(v.get(0).exp().mul(v.get(1))), normal(12, 3), normal(13, 3));
    }

    @Test
    void castsCarryGradients() {
        Var x = Var.parameter(Tensor.of(Backends.reference(), new float[] {1, 2, 3}, 3));
        Tensor g = Gradients.of(x.to(DType.F64).square().sum(), List.of(x)).getFirst();
        assertThat(g.dtype()).isEqualTo(DType.F32);
        assertThat(g.toFloatArray()).containsExactly(2, 4, 6);
    }

    @Test
    void gradientsByTheSameValueTwiceAreEqualAndSeparate() {
        Var x = Var.parameter(normal(14, 3));
        Var y = Var.parameter(normal(15, 3));
        var g = Gradients.of(x.add(y).reshape(3, 1).sum(), List.of(x, y, x));
        assertThat(g).allSatisfy(t -> {
            assertThat(t.toDoubleArray()).containsExactly(1, 1, 1);
            assertThat(t.ownsWholeStorage()).isTrue();
        });
        assertThat(g.stream().map(Tensor::storage).distinct()).hasSize(3);
    }

    @Test
    void whatTheLossDoesNotDependOnHasGradientZero() {
        Var x = Var.parameter(normal(16, 3));
        Var y = Var.parameter(normal(17, 2));
        assertThat(Gradients.of(x.sum(), List.of(x, y)).get(1).toDoubleArray()).containsExactly(0, 0);
    }

    @Test
    void aLossThatCannotBeDifferentiatedIsRefused() {
        Var x = Var.parameter(normal(18, 3));
        assertThatThrownBy(() -> Gradients.of(x, List.of(x))).hasMessageContaining("scalar")
                .hasMessageContaining("[3]");
        assertThatThrownBy(() -> Gradients.of(x.detach().sum(), List.of(x)))
                .hasMessageContaining("does not depend");
        assertThatThrownBy(() -> x.add(Var.constant(normal(19, 4)))).hasMessageContaining("[3]")
                .hasMessageContaining("[4]");
        assertThatThrownBy(() -> x.reshape(1, 3).matmul(x.reshape(1, 3))).hasMessageContaining("[1, 3]");
        assertThatThrownBy(() -> Var.parameter(Tensor.of(Backends.reference(), new long[] {1}, 1)))
                .hasMessageContaining("not floating");
    }
}
