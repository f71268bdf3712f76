package dev.jotune.autograd.ops;

import static dev.jotune.testing.FiniteDifference.check;
import static dev.jotune.testing.FiniteDifference.checkTwice;
import static dev.jotune.testing.FiniteDifference.normal;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Result;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.Tensor;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** Derivatives of attention over segments by queries, keys, values and biases, through output and log-sum-exp. */
class AttentionDerivativesTest {
    private static final int B = 2;
    private static final int H = 4;
    private static final int G = 2;
    private static final int T = 3;
    private static final int D = 2;
    private static final int DV = 3;

    private static Tensor queries() {
        return normal(1, B, H, T, D);
    }

    private static Tensor keys(int batch, int keys) {
        return normal(2 + keys, batch, G, keys, D);
    }

    private static Tensor values(int batch, int keys) {
        return normal(20 + keys, batch, G, keys, DV);
    }

    /** Output and log-sum-exp in one, each row of each with its own noise upstream; -infinity has no gradient. */
    private static Var both(Result r) {
        return Var.concat(3, r.out(), r.lse().reshape(r.lse().size(0), r.lse().size(1), r.lse().size(2), 1));
    }

    private static Function<List<Var>, Var> twoSegments(Visible first, Visible second, double softcap) {
        return v -> both(Attention.attend(v.get(0),
                List.of(new Segment(v.get(1), v.get(2), first), new Segment(v.get(3), v.get(4), second)), 0.6, softcap));
    }

    @Test
    void sharedPrefixAndCausalText() {
        checkTwice(twoSegments(Visible.ALL, Visible.causal(0), 0), queries(), keys(1, 2), values(1, 2), keys(B, T), values(B, T));
    }

    @Test
    void windowAndSoftcap() {
        checkTwice(twoSegments(Visible.causal(5).withWindow(4), Visible.causal(1).withWindow(2), 1.5), queries(), keys(B, 5),
                values(B, 5), keys(B, 4), values(B, 4));
    }

    @Test
    void anEmptySegmentChangesNothing() {
        checkTwice(twoSegments(Visible.ALL, Visible.causal(0), 0), queries(), keys(B, 0), values(B, 0), keys(B, T), values(B, T));
    }

    @Test
    void paddedKeysAndRowsThatSeeOnlyOneSegment() {
        Tensor mask = Tensor.of(Backends.reference(), new boolean[] {false, true, true, true, false, false}, B, 3);
        checkTwice(twoSegments(Visible.causal(0), Visible.causal(0).withKeyMask(mask).withWindow(3), 0), queries(), keys(1, 2),
                values(1, 2), keys(B, 3), values(B, 3));
    }

    @Test
    void queriesThatSeeNothingHaveNoGradient() {
        Tensor mask = Tensor.of(Backends.reference(), new boolean[] {false, true, true, true, true, true}, B, 3);
        Visible visible = Visible.causal(0).withKeyMask(mask);
        checkTwice(v -> Attention.attend(v.get(0), List.of(new Segment(v.get(1), v.get(2), visible),
                new Segment(v.get(1), v.get(2), visible)), 0.6, 0).out(), queries(), keys(B, 3), values(B, 3));
    }

    @Test
    void biasesOfEveryShape() {
        long[][] shapes = {{B, H, T, 3}, {1, H, T, 3}, {B, 1, 1, 3}, {1, 1, T, 3}, {1, H, 1, 3}};
        for (long[] shape : shapes) {
            check(v -> both(Attention.attend(v.get(0), List.of(new Segment(v.get(1), v.get(2),
                    Visible.causal(0).withBias(v.get(3)))), 0.6, 0)), queries(), keys(B, 3), values(B, 3), normal(40, shape));
        }
        checkTwice(v -> both(Attention.attend(v.get(0), List.of(new Segment(v.get(1), v.get(2), Visible.ALL.withBias(v.get(3)))),
                0.6, 2)), queries(), keys(B, 3), values(B, 3), normal(40, 1, H, T, 3));
    }

    @Test
    void gradientThroughTheLogSumExpAlone() {
        checkTwice(v -> Attention.attend(v.get(0), List.of(new Segment(v.get(1), v.get(2), Visible.ALL)), 0.6, 0).lse(),
                queries(), keys(1, 3), values(1, 3));
    }
}
