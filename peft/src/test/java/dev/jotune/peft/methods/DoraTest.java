package dev.jotune.peft.methods;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.models.Quantization;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.SettledMemory;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What the contract does not ask of DoRA: dropout as PEFT has it, no dense W', norms that follow every change. */
class DoraTest {
    private static final Group BARE = Group.all(List.of());

    private static Tensor noise(Backend b, DType type, int seed, double scale, long... shape) {
        double[] values = new double[(int) Arrays.stream(shape).reduce(1, (x, y) -> x * y)];
        Arrays.setAll(values, i -> scale * Philox.normal(seed, 0, i));
        return Scope.detach(Tensor.of(b, type, values, shape));
    }

    /** A layer of DoRA, trained a little. */
    private record Tuned(LinearLayer layer, Var a, Var b, Var m, Dora dora) {
        static Tuned of(LinearLayer layer, DType type, int rank, double dropout) {
            Backend backend = layer.weight().backend();
            Var a = Var.parameter(noise(backend, type, 1, 0.2, rank, layer.in()));
            Var b = Var.parameter(noise(backend, type, 2, 0.2, layer.out(), rank));
            Dora.Direction direction = new Dora.Direction(a, b, 1.5);
            DoraNorm norm = new DoraNorm(layer, direction);
            Var m = Var.parameter(Scope.detach(norm.bare().mul(1.3).tensor().copy()));
            return new Tuned(layer, a, b, m, new Dora(direction, norm, m, dropout));
        }

        Var forward(Var x, Pass pass) {
            return dora.forward(x, v -> layer.base(v, BARE), layer, pass);
        }

        Var delta() {
            return b.matmul(a).mul(1.5);
        }
    }

    private static LinearLayer layer(Backend backend, DType type, long out, long in) {
        return new LinearLayer("l", new Parameter("l.weight", Var.constant(noise(backend, type, 3, 0.3, out, in))),
                Optional.of(new Parameter("l.bias", Var.constant(noise(backend, type, 4, 1, out)))));
    }

    private static double[] doubles(Var v) {
        return v.tensor().toDoubleArray();
    }

    @Test
    void dropoutActsOnTheInputOfBothTermsButNotOnTheLayersOwn() {
        Backend backend = Backends.reference();
        LinearLayer layer = layer(backend, DType.F64, 5, 7);
        Tuned t = Tuned.of(layer, DType.F64, 2, 0.4);
        Var x = Var.constant(noise(backend, DType.F64, 5, 1, 2, 3, 7));
        Pass pass = Pass.training(List.of(), 9, 4);
        Var dropped = Dropout.apply(x, 0.4, pass.seed(), pass.stream("l"));
        Var w = layer.weight().base();
        Var norms = w.add(t.delta()).square().sum(1).sqrt().reshape(5);
        Var g = t.m.div(norms);
        Var want = Linear.apply(x, w, layer.bias().get().base()).add(g.add(-1).mul(Linear.apply(dropped, w)))
                .add(g.mul(Linear.apply(dropped, t.delta())));
        assertThat(doubles(dropped)).contains(0.0);
        assertThat(doubles(t.forward(x, pass))).containsExactly(doubles(want), within(1e-12));
        assertThat(doubles(t.forward(x, Pass.inference(List.of())))).containsExactly(doubles(Linear.apply(x, t.dora.weight(w),
                layer.bias().get().base())), within(1e-12));
    }

    /** A step over a weight of 8 MB touches far less, and over one in NF4 as well. */
    @Test
    void aStepHoldsNoDenseWeight() {
        Backend backend = Backends.cpu();
        try (Scope outer = Scope.open()) {
            LinearLayer dense = layer(backend, DType.F32, 2048, 1024);
            Parameter nf4 = new Parameter("q.weight", new StoredWeight.Quantized(Quantization.quantize(dense.weight().base().tensor(), "nf4"),
                    false, backend));
            for (LinearLayer layer : List.of(dense, new LinearLayer("q", nf4, Optional.empty()))) {
                Tuned t = Tuned.of(layer, DType.F32, 4, 0);
                Var x = Var.parameter(noise(backend, DType.F32, 6, 1, 1, 2, 1024));
                step(t, x);
                long before = SettledMemory.inUse();
                step(t, x);
                // A quantised weight is widened a few rows at a time on the way back, at most 4 MB of them.
                long most = layer == dense ? 1 << 20 : 5 << 20;
                assertThat(HostMemory.peakBytes() - before).as(layer.path()).isPositive().isLessThan(most);
            }
        }
    }

    private static void step(Tuned t, Var x) {
        try (Scope scope = Scope.open()) {
            Gradients.of(t.forward(x, Pass.training(List.of(), 0, 0)).square().sum(), List.of(t.a, t.b, t.m, x));
        }
    }

    /** Decoding remembers norms; whatever they are made of may change in between. */
    @Test
    void rememberedNormsFollowEveryChange() {
        Backend backend = Backends.reference();
        LinearLayer layer = layer(backend, DType.F64, 4, 6);
        Tuned t = Tuned.of(layer, DType.F64, 2, 0);
        Var x = Var.constant(noise(backend, DType.F64, 7, 1, 1, 6));
        follows(t, x);
        t.a.tensor().copyFrom(noise(backend, DType.F64, 8, 0.5, 2, 6));
        follows(t, x);
        t.b.tensor().copyFrom(noise(backend, DType.F64, 9, 0.5, 4, 2));
        follows(t, x);
        layer.weight().replace(Var.constant(noise(backend, DType.F64, 10, 0.5, 4, 6)));
        follows(t, x);
    }

    private static void follows(Tuned t, Var x) {
        Var want = Linear.apply(x, t.dora.weight(t.layer.weight().base()), t.layer.bias().get().base());
        for (int i = 0; i < 2; i++) {
            double[] got = Recording.off(() -> doubles(t.forward(x, Pass.inference(List.of()))));
            assertThat(got).containsExactly(doubles(want), within(1e-12));
        }
    }
}
