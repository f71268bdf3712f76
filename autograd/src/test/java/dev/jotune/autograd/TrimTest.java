package dev.jotune.autograd;

import static dev.jotune.testing.FiniteDifference.normal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.testing.SettledMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A part of a computation that frees what first derivatives do not read. */
class TrimTest {
    private static final int ROWS = 96;
    private static final int C = 32;
    private static final int F = 128;
    private static final long TENSOR = 4L * ROWS * C;

    private final Backend backend = Backends.cpu();
    private final Scope inputs = Scope.open();
    private final Var frozen = Var.constant(noise(1, F, C));
    private final Var down = Var.parameter(noise(2, C, F));
    private final Var a = Var.parameter(noise(3, 4, C));
    private final Var norm = Var.constant(noise(4, C));

    @AfterEach
    void free() {
        inputs.close();
    }

    private Tensor noise(long seed, long... shape) {
        return normal(seed, shape).to(DType.F32).to(backend);
    }

    /** A block with what models have: norms, views, a residual, an overwritten sum, attention, a gated map. */
    private Var block(Var x) {
        Var y = Norms.rmsNorm(x, norm, 1e-5);
        Var thin = Linear.apply(y, a);
        Var heads = InPlace.addMatmul(y.mul(2), thin, a.transpose(0, 1)).reshape(1, ROWS, 4, C / 4).transpose(1, 2);
        Attention.Segment own = new Attention.Segment(heads, heads, Attention.Visible.causal(0));
        Var mixed = Attention.attend(heads, List.of(own), 0.3, 0).out().transpose(1, 2).reshape(ROWS, C);
        Var h = x.add(mixed);
        Var z = Norms.layerNorm(h, norm, norm, 1e-5);
        Var act = Activations.swiglu(Linear.apply(z, frozen), Linear.apply(z, frozen.add(1)));
        return h.add(Linear.apply(act, down));
    }

    private record Run(double loss, List<double[]> gradients, long kept, long left) {}

    private Run run(boolean trim, boolean once) {
        Var x = Var.parameter(noise(9, ROWS, C));
        List<Var> wrt = List.of(x, down, a);
        long before = HostMemory.bytesInUse();
        try (Scope scope = Scope.open()) {
            Supplier<Var> forward = () -> {
                Var h = x;
                for (int i = 0; i < 3; i++) {
                    h = trim ? Trim.apply(v -> new Var[] {block(v[0])}, h)[0] : block(h);
                }
                return h.square().sum();
            };
            Var loss = once ? Recording.once(forward) : forward.get();
            long kept = HostMemory.bytesInUse() - before;
            List<double[]> gradients = new ArrayList<>();
            Gradients.consume(loss, wrt).forEach(g -> gradients.add(g.toDoubleArray()));
            return new Run(loss.item(), gradients, kept, HostMemory.bytesInUse() - before);
        }
    }

    /**
     * The run of middle memory among nine: a worker takes its working memory when it first computes something, which may be
     * late if the other one took all the work, and the collector gives back what earlier tests left.
     */
    private Run usual(boolean trim, boolean once) {
        SettledMemory.inUse();
        List<Run> runs = IntStream.range(0, 9).mapToObj(i -> run(trim, once)).toList();
        ToLongFunction<ToLongFunction<Run>> middle = of -> runs.stream().mapToLong(of).sorted().toArray()[4];
        return new Run(runs.getLast().loss(), runs.getLast().gradients(), middle.applyAsLong(Run::kept), middle.applyAsLong(Run::left));
    }

    @Test
    void givesTheSameValuesAndGradientsAndKeepsLess() {
        Run whole = usual(false, false);
        Run trimmed = usual(true, true);
        assertThat(trimmed.loss()).isEqualTo(whole.loss());
        for (int i = 0; i < 3; i++) {
            assertThat(trimmed.gradients().get(i)).isEqualTo(whole.gradients().get(i));
        }
        // Of a block: its input, the keys, the attention's output, its sum, gate and up, and a few numbers a row.
        assertThat(trimmed.kept()).isLessThan(3 * (5 + 2 * F / C) * TENSOR).isLessThan(whole.kept() * 2 / 3);
        // What was computed again is gone; the gradients stay.
        assertThat(trimmed.left()).isEqualTo(whole.left());
    }

    @Test
    void leavesEverythingToWhoeverMayDifferentiateAgain() {
        assertThat(usual(true, false).kept()).isEqualTo(usual(false, false).kept());
    }

    @Test
    void isNotDifferentiatedTwice() {
        Var x = Var.parameter(noise(9, ROWS, C));
        Var loss = Recording.once(() -> Trim.apply(v -> new Var[] {block(v[0])}, x)[0].sum());
        assertThatThrownBy(() -> Gradients.differentiable(loss, List.of(x))).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("recorded for one walk");
        assertThat(Gradients.of(loss, List.of(x)).getFirst().toDoubleArray())
                .isEqualTo(Gradients.of(loss, List.of(x)).getFirst().toDoubleArray());
    }

    @Test
    void recordsNothingWhereRecordingIsOff() {
        Var x = Var.parameter(noise(9, ROWS, C));
        assertThat(Recording.off(() -> Recording.once(() -> Trim.apply(v -> new Var[] {block(v[0])}, x)[0])).requiresGrad()).isFalse();
    }

    @Test
    void leavesOnlyTheResultOfWhatRecordsNothing() {
        List<Tensor> made = new ArrayList<>();
        try (Scope scope = Scope.open()) {
            Var out = Recording.once(() -> Trim.apply(x -> {
                Var y = Norms.rmsNorm(x[0], norm, 1e-5);
                Var z = Linear.apply(y, frozen);
                made.addAll(List.of(y.tensor(), z.tensor()));
                return new Var[] {z.slice(0, 1, 2)};
            }, Var.constant(noise(9, ROWS, C)))[0]);
            assertThat(made).extracting(t -> t.storage().isAlive()).containsExactly(false, true);
            assertThat(scope.owns(out.tensor())).isTrue();
        }
        assertThat(made.getLast().storage().isAlive()).isFalse();
    }
}
