package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.check;
import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;
import static dev.jotune.testing.FiniteDifference.uniform;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.CrossEntropy.Options;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.kernels.SparsePattern;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** First and second derivatives of what models are made of. */
class FusedDerivativesTest {
    private static final Tensor LABELS = Tensor.of(Backends.reference(), new long[] {2, -100, 0, 4}, 4);

    @TestFactory
    Stream<DynamicTest> activations() {
        Map<String, UnaryOperator<Var>> all = new LinkedHashMap<>();
        for (String name : new String[] {"silu", "gelu", "gelu_new", "quick_gelu", "relu", "relu2", "tanh", "sigmoid",
                "mish"}) {
            all.put(name, x -> Activations.byName(name, x));
        }
        all.put("leaky_relu", Activations::leakyRelu);
        all.put("elu", Activations::elu);
        all.put("softplus", Activations::softplus);
        all.put("log_sigmoid", Activations::logSigmoid);
        all.put("hard_sigmoid", Activations::hardSigmoid);
        // 0 and 3, where slopes jump, are not among the numbers.
        return all.entrySet().stream().map(e -> DynamicTest.dynamicTest(e.getKey(),
                () -> checkTwice(v -> e.getValue().apply(v.getFirst()), normal(1, 4, 5))));
    }

    @Test
    void gatedActivations() {
        checkTwice(v -> Activations.swiglu(v.get(0), v.get(1)), normal(1, 3, 4), normal(2, 3, 4));
        checkTwice(v -> Activations.gegluTanh(v.get(0), v.get(1)), normal(1, 3, 4), normal(2, 3, 4));
    }

    @Test
    void softmaxFamily() {
        checkTwice(v -> Softmax.softmax(v.getFirst()), normal(3, 2, 3, 4));
        checkTwice(v -> Softmax.softmax(v.getFirst(), 1), normal(3, 2, 3, 4));
        checkTwice(v -> Softmax.logSoftmax(v.getFirst()), normal(3, 3, 4));
        checkTwice(v -> Softmax.logSumExp(v.getFirst()), normal(3, 3, 4));
        checkTwice(v -> Softmax.softmax(v.getFirst()), normal(3, 3, 1));
    }

    @Test
    void norms() {
        checkTwice(v -> Norms.rmsNorm(v.get(0), v.get(1), 1e-3), normal(4, 2, 3, 5), normal(5, 5));
        checkTwice(v -> Norms.layerNorm(v.get(0), v.get(1), v.get(2), 1e-3), normal(4, 3, 5), normal(5, 5),
                normal(6, 5));
        checkTwice(v -> Norms.layerNorm(v.get(0), 1e-3), normal(4, 3, 5));
    }

    @Test
    void rotaryEmbeddingInBothLayouts() {
        for (Rotary.Layout layout : Rotary.Layout.values()) {
            for (int half = 1; half <= 3; half++) {
                Tensor cos = uniform(7, -1, 1, 2, 3, half);
                Tensor sin = uniform(8, -1, 1, 2, 3, half);
                checkTwice(v -> Rotary.apply(v.getFirst(), cos, sin, layout).square(), normal(9, 2, 2, 3, 6));
                checkTwice(v -> Rotary.apply(v.getFirst(), cos.slice(0, 0, 1), sin.slice(0, 0, 1), layout).square(),
                        normal(9, 2, 2, 3, 6));
            }
        }
    }

    @Test
    void selectiveScans() {
        for (int states = 1; states <= 3; states++) {
            checkTwice(v -> {
                SelectiveScan.Result r = SelectiveScan.apply(v.get(0), Activations.softplus(v.get(1)), v.get(2).exp().neg(), v.get(3),
                        v.get(4), v.get(5), v.get(6));
                return Var.concat(0, r.out().reshape(-1), r.state().reshape(-1));
            }, normal(30, 2, 3, 2), normal(31, 2, 3, 2), normal(32, 2, states), normal(33, 2, 3, states), normal(34, 2, 3, states),
                    normal(35, 2), normal(36, 2, 2, states));
        }
    }

    @Test
    void sparseMaps() {
        SparsePattern p = SparsePattern.of(3, 4, new long[] {2, 0, 2, 2}, new long[] {1, 3, 1, 0});
        checkTwice(v -> SparseLinear.apply(v.get(0), v.get(1), p), normal(40, 2, 3, 4), normal(41, 4));
        checkTwice(v -> SparseLinear.dense(v.getFirst(), p).square(), normal(42, 4));
    }

    @Test
    void linearMaps() {
        checkTwice(v -> Linear.apply(v.get(0), v.get(1), v.get(2)), normal(10, 2, 3, 4), normal(11, 5, 4),
                normal(12, 5));
    }

    @Test
    void dropoutKeepsItsMask() {
        checkTwice(v -> Dropout.apply(v.getFirst(), 0.4, 3, 8).square(), normal(13, 5, 7));
    }

    @Test
    void embeddings() {
        Tensor ids = Tensor.of(Backends.reference(), new long[] {1, 2, 1, 0}, 2, 2);
        checkTwice(v -> Embedding.lookup(v.getFirst(), ids).square(), normal(14, 4, 3));
    }

    @Test
    void crossEntropies() {
        checkTwice(v -> CrossEntropy.apply(v.getFirst(), LABELS), normal(15, 4, 5));
        checkTwice(v -> CrossEntropy.apply(v.getFirst(), LABELS, Options.NONE), normal(15, 4, 5));
        checkTwice(v -> CrossEntropy.apply(v.getFirst(), LABELS, Options.SUM.withLabelSmoothing(0.2)
                .withClassWeights(uniform(16, 0, 2, 5))), normal(15, 4, 5));
        checkTwice(v -> CrossEntropy.soft(v.get(0), v.get(1)), normal(15, 4, 5), uniform(17, 0, 1, 4, 5));
    }

    @Test
    void lossesOfPairs() {
        Tensor x = normal(18, 3, 4);
        Tensor y = normal(19, 3, 4);
        checkTwice(v -> Losses.mse(v.get(0), v.get(1)), x, y);
        checkTwice(v -> Losses.huber(v.get(0), v.get(1), 0.7), x, y);
        checkTwice(v -> Losses.bceWithLogits(v.get(0), v.get(1), 2.5), x, uniform(20, 0, 1, 3, 4));
        checkTwice(v -> Losses.klDivergence(v.get(0), v.get(1), 2), x, y);
        checkTwice(v -> Losses.cosine(v.get(0), v.get(1), 1e-8), x, y);
    }

    @Test
    void everyFunctionOfTheExpressionLanguage() {
        Expr x = Expr.input(0);
        Expr y = Expr.input(1);
        Expr r = Expr.rowInput(2);
        Map<String, Expr> all = new LinkedHashMap<>();
        all.put("abs", x.abs().times(x));
        all.put("sign", x.sign().times(x));
        all.put("log1p", x.times(x).log1p());
        all.put("reciprocal", y.reciprocal());
        all.put("erf", x.erf());
        all.put("sin", x.sin());
        all.put("cos", x.cos());
        all.put("floor", x.floor().times(y));
        all.put("max", x.max(y).times(x));
        all.put("min", x.min(y).times(x));
        all.put("pow of constant", y.pow(Expr.of(2.5)));
        all.put("pow", y.pow(x));
        all.put("select", Expr.select(x.lt(y), x.times(y), y.exp()));
        all.put("row max", x.times(x.rowMax()));
        all.put("row sum", x.times(y.rowSum()));
        all.put("row input", x.times(r).plus(r.times(r)));
        all.put("row input in a row", x.times(r).rowSum().times(r));
        all.put("sum of a row value", x.plus(r).rowSum());
        all.put("sum of a row value alone", r.times(r).rowSum().times(x));
        all.put("maximum less than elements", x.minus(x.rowMax()).rowSum());
        all.put("only row values", r.times(r).exp());
        all.put("position", new Expr.Iota().times(x).times(y).rowSum().tanh());
        all.put("detach", x.detach().minus(x.detach()).plus(x.times(y)));
        all.forEach((name, e) -> {
            try {
                MapOp op = MapOp.of(name, 3, e);
                checkTwice(v -> op.apply(v.get(0), v.get(1), v.get(2)), normal(21, 3, 4), uniform(22, 0.3, 1, 3, 4),
                        normal(23, 3, 1));
                checkTwice(v -> op.apply(v.get(0), v.get(1), v.get(2)), normal(21, 2, 3, 4), uniform(22, 0.3, 1, 4),
                        normal(23));
            } catch (AssertionError wrong) {
                throw new AssertionError(name + ": " + wrong.getMessage(), wrong);
            }
        });
    }

    @Test
    void fusedVocabularyProductAndCrossEntropy() {
        for (Options o : new Options[] {Options.MEAN, Options.SUM, Options.NONE, Options.MEAN.withNumItems(7),
            Options.MEAN.withSoftcap(0.7)}) {
            for (int chunk : new int[] {1, 2, 3, 100}) {
                check(v -> LinearCrossEntropy.apply(v.get(0), v.get(1), LABELS, o, chunk), normal(24, 4, 3),
                        normal(25, 5, 3));
            }
            checkTwice(v -> LinearCrossEntropy.apply(v.get(0), v.get(1), LABELS, o, 2), normal(24, 4, 3),
                    normal(25, 5, 3));
            Var frozen = Var.constant(normal(25, 5, 3));
            checkTwice(v -> LinearCrossEntropy.apply(v.get(0), frozen, LABELS, o, 2), normal(24, 4, 3));
        }
    }
}
