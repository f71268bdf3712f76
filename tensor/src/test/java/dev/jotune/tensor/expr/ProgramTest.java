package dev.jotune.tensor.expr;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.tensor.expr.Expr.BinaryOp;
import dev.jotune.tensor.expr.Expr.UnaryOp;
import dev.jotune.tensor.expr.Program.Instruction;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Expressions fold, share and know what is constant along rows; derivatives are expressions. */
class ProgramTest {
    private static final Expr X = Expr.input(0);
    private static final Expr Y = Expr.input(1);

    @Test
    void equalPartsAreComputedOnce() {
        Program p = Program.of(X.exp().plus(X.exp()), Expr.input(0).exp().times(Y));
        assertThat(p.code()).filteredOn(i -> i instanceof Instruction.Apply1(UnaryOp op, int x) && op == UnaryOp.EXP)
                .hasSize(1);
        assertThat(p.inputCount()).isEqualTo(2);
        assertThat(p.outputCount()).isEqualTo(2);
        assertThat(p.needsRows()).isFalse();
    }

    @Test
    void numbersFoldAndNeutralElementsVanish() {
        assertThat(Expr.of(2).times(Expr.of(3)).plus(1)).isEqualTo(Expr.of(7));
        assertThat(X.plus(0)).isSameAs(X);
        assertThat(X.times(1)).isSameAs(X);
        assertThat(X.minus(Expr.of(0))).isSameAs(X);
        assertThat(X.over(Expr.of(1))).isSameAs(X);
        assertThat(X.times(0)).isEqualTo(Expr.of(0));
        assertThat(X.pow(Expr.of(2))).isEqualTo(X.times(X));
        assertThat(Expr.of(0).plus(X)).isSameAs(X);
    }

    @Test
    void valuesConstantAlongRowsAreKnown() {
        assertThat(Derivative.isRowConstant(X.rowSum().times(Expr.rowInput(1)).exp())).isTrue();
        assertThat(Derivative.isRowConstant(X.rowMax().plus(X))).isFalse();
        assertThat(Derivative.isRowConstant(new Expr.Iota())).isFalse();
        Program p = Program.of(X.minus(X.rowMax()));
        assertThat(p.needsRows()).isTrue();
        assertThat(p.isRowConstant(p.output(0))).isFalse();
        assertThat(p.code()).filteredOn(i -> i instanceof Instruction.MaxRow).hasSize(1);
    }

    @Test
    void derivativesFollowTheRules() {
        Expr up = Expr.input(2);
        assertThat(Derivative.of(X.times(Y), 2, up)).isEqualTo(List.of(up.times(Y), up.times(X)));
        assertThat(Derivative.of(X.exp(), 2, up)).isEqualTo(List.of(up.times(X.exp()), Expr.of(0)));
        // What every element adds to a row's value comes back as that row's sum.
        assertThat(Derivative.of(X.plus(Expr.rowInput(1)), 2, up)).isEqualTo(List.of(up, up.rowSum()));
        assertThat(Derivative.of(X.detach().times(X), 1, up)).isEqualTo(List.of(up.times(X.detach())));
        assertThat(Derivative.of(X.lt(Y), 2, up)).isEqualTo(List.of(Expr.of(0), Expr.of(0)));
    }

    @Test
    void theErrorFunctionIsRightToTheLastDigits() {
        // Values of erf from Abramowitz and Stegun's defining integral, to 16 digits.
        double[][] known = {{0, 0}, {0.5, 0.5204998778130465}, {1, 0.8427007929497149}, {2, 0.9953222650189527},
            {2.4, 0.9993114861033549}, {2.6, 0.9997639655834707}, {3, 0.9999779095030014}, {5, 0.9999999999984626}};
        for (double[] k : known) {
            assertThat(Scalar.erf(k[0])).isCloseTo(k[1], org.assertj.core.data.Offset.offset(3e-15));
            assertThat(Scalar.erf(-k[0])).isEqualTo(-Scalar.erf(k[0]));
        }
        assertThat(Scalar.erf(Double.POSITIVE_INFINITY)).isEqualTo(1);
        assertThat(Scalar.erf(Double.NaN)).isNaN();
    }

    @Test
    void extremesNeitherOverflowNorLeakThroughSelection() {
        assertThat(Scalar.apply(UnaryOp.SIGMOID, -800)).isEqualTo(0);
        assertThat(Scalar.apply(UnaryOp.SIGMOID, 800)).isEqualTo(1);
        assertThat(Scalar.apply(BinaryOp.MAX, Double.NaN, 1)).isNaN();
        assertThat(Scalar.apply(BinaryOp.LE, Double.NaN, 1)).isZero();
    }
}
