package dev.jotune.tensor.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.expr.Derivative;
import dev.jotune.tensor.expr.Expr;
import dev.jotune.tensor.expr.Formulas;
import dev.jotune.tensor.expr.Program;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** The cross-entropy of rows in pieces against its definition in double precision. */
class CrossEntropyKernelTest {
    private static final Expr LOSS = Formulas.CROSS_ENTROPY;
    private static final Expr GRADIENT = Derivative.of(LOSS, 1, Expr.rowInput(3)).getFirst();

    private record Result(double[] loss, double[] both, double[] gradient, double[] alone) {}

    private static Result run(Backend backend, DType type, double[] logits, double[] labels, double[] weights, boolean inPlace) {
        int m = labels.length;
        int n = logits.length / m;
        Tensor x = Tensor.of(backend, type, logits, m, n);
        Tensor label = Tensor.of(backend, type, labels, m, 1);
        Tensor weight = Tensor.of(backend, type, weights, m, 1);
        Tensor scale = Tensor.full(backend, type, 0.25);
        Tensor loss = Tensor.empty(backend, type, m, 1);
        Tensor both = Tensor.empty(backend, type, m, 1);
        Tensor alone = Tensor.empty(backend, type, m, n);
        backend.map(Program.of(LOSS), new Tensor[] {x, label, weight}, new Tensor[] {loss});
        backend.map(Program.of(GRADIENT), new Tensor[] {x, label, weight, scale}, new Tensor[] {alone});
        Tensor gradient = inPlace ? x : Tensor.empty(backend, type, m, n);
        backend.map(Program.of(LOSS, GRADIENT), new Tensor[] {x, label, weight, scale}, new Tensor[] {both, gradient});
        return new Result(loss.toDoubleArray(), both.toDoubleArray(), gradient.toDoubleArray(), alone.toDoubleArray());
    }

    private static void check(String what, double[] logits, double[] labels, double[] weights) {
        Result want = run(Backends.reference(), DType.F64, logits, labels, weights, false);
        for (boolean inPlace : new boolean[] {false, true}) {
            Result got = run(Backends.cpu(), DType.F32, logits, labels, weights, inPlace);
            close(what + ", loss", got.loss(), want.loss());
            close(what + ", loss with gradient", got.both(), want.both());
            close(what + ", gradient with loss", got.gradient(), want.gradient());
            close(what + ", gradient", got.alone(), want.alone());
        }
    }

    private static void close(String what, double[] got, double[] want) {
        for (int i = 0; i < want.length; i++) {
            boolean same = Double.compare(got[i], want[i]) == 0 || got[i] == want[i]
                    || Math.abs(got[i] - want[i]) <= 2e-6 * Math.max(1, Math.abs(want[i]));
            assertThat(same).as("%s, element %d: %s, expected %s", what, i, got[i], want[i]).isTrue();
        }
    }

    private static double[] normal(int n, double factor) {
        double[] x = new double[n];
        Arrays.setAll(x, i -> (float) (factor * Philox.normal(3, n, i)));
        return x;
    }

    @Test
    void bothKernelsAreRecognised() {
        assertThat(KnownProgram.of(Program.of(LOSS))).isPresent();
        assertThat(KnownProgram.of(Program.of(GRADIENT))).isPresent();
        assertThat(KnownProgram.of(Program.of(LOSS, GRADIENT))).isPresent();
    }

    @Test
    void everyLengthAndRowsOfManyPieces() {
        for (int n = 1; n <= 67; n++) {
            check("length " + n, normal(3 * n, 3), new double[] {0, n - 1, n / 2}, new double[] {1, 0, 2});
        }
        for (int n : new int[] {4095, 4096, 4097, 9000, 20_011}) {
            check("length " + n, normal(3 * n, 5), new double[] {0, n - 1, 4096 % n}, new double[] {1, 0.5, 0});
        }
    }

    @Test
    void aLabelThatIsNoClassReadsAndWritesNothing() {
        for (double label : new double[] {-100, -1, 33, 1e9, 2.5}) {
            check("label " + label, normal(66, 2), new double[] {label, label}, new double[] {0, 1});
        }
    }

    @Test
    void piecesMayDifferByMoreThanTheRangeOfFloats() {
        double[] x = normal(9000, 1);
        for (int i = 0; i < 4096; i++) {
            x[i] = (float) (x[i] - 300);
        }
        check("a far piece first", x, new double[] {4100}, new double[] {1});
        check("its label", x, new double[] {7}, new double[] {1});
        Arrays.fill(x, 0, 4096, Double.NEGATIVE_INFINITY);
        for (int i = 4096; i < x.length; i++) {
            x[i] = (float) (x[i] - 2000);
        }
        check("a piece of nothing", x, new double[] {5000}, new double[] {1});
    }

    @Test
    void whatIsNotANumberIsWhatTheDefinitionSays() {
        for (double s : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 1e30, -1e30}) {
            double[] x = normal(20, 1);
            x[4] = s;
            check("a logit of " + s, x, new double[] {9}, new double[] {1});
            check("the label's logit of " + s, x, new double[] {4}, new double[] {1});
            check("ignored logit of " + s, x, new double[] {4}, new double[] {0});
            Arrays.fill(x, s);
            check("nothing but " + s, x, new double[] {4}, new double[] {1});
        }
    }
}
