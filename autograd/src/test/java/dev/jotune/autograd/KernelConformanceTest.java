package dev.jotune.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.AttentionDefinition;
import dev.jotune.autograd.ops.CrossEntropy;
import dev.jotune.autograd.ops.LinearCrossEntropy;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.autograd.ops.Rotary;
import dev.jotune.autograd.ops.SelectiveScan;
import dev.jotune.autograd.ops.SparseLinear;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.cpu.ReferenceBackend;
import dev.jotune.tensor.kernels.AdamWKernel;
import dev.jotune.tensor.kernels.AttentionKernel;
import dev.jotune.tensor.kernels.FusedKernel;
import dev.jotune.tensor.kernels.NormKernel;
import dev.jotune.tensor.kernels.RotaryKernel;
import dev.jotune.tensor.kernels.ScanKernel;
import dev.jotune.tensor.kernels.SparseKernel;
import dev.jotune.tensor.kernels.SparsePattern;
import dev.jotune.tensor.kernels.VocabularyKernel;
import dev.jotune.testing.KernelConformance;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Fused kernels of every backend against their definitions; and the suite notices wrong ones. */
class KernelConformanceTest {
    @TestFactory
    Stream<DynamicTest> everyBackend() {
        return Backends.all().stream().filter(b -> b != Backends.reference())
                .flatMap(b -> KernelConformance.cases().stream()
                .map(c -> DynamicTest.dynamicTest(b.name() + "/" + c.name(), () -> c.run(b))));
    }

    @Test
    void theReferenceConformsToItself() {
        assertThat(KernelConformance.firstFailure(Backends.reference(), "")).isEmpty();
    }

    /** The reference with one kernel, which is wrong. */
    private static final class With extends ReferenceBackend {
        private final FusedKernel kernel;

        With(FusedKernel kernel) {
            this.kernel = kernel;
        }

        @Override
        public <K extends FusedKernel> Optional<K> kernel(Class<K> kind) {
            return kind.isInstance(kernel) ? Optional.of(kind.cast(kernel)) : Optional.empty();
        }
    }

    /** Forward right, backward without the factor of the weight. */
    private static final class WrongNorm implements NormKernel {
        @Override
        public void rmsNorm(Tensor x, Tensor weight, double eps, Tensor out) {
            out.copyFrom(run(x, weight, eps));
        }

        private static Tensor run(Tensor x, Tensor weight, double eps) {
            return Norms.rmsNormDefinition(Var.constant(x), Var.constant(weight), eps).tensor();
        }

        /** Without the residual. */
        @Override
        public void addRmsNorm(Tensor x, Tensor residual, Tensor weight, double eps, Tensor sum, Tensor out) {
            sum.copyFrom(x);
            out.copyFrom(run(x, weight, eps));
        }

        @Override
        public void rmsNormBackward(Tensor x, Tensor weight, double eps, Tensor dOut, Optional<Tensor> more, Optional<Tensor> dx,
                Optional<Tensor> dWeight) {
            dx.ifPresent(d -> d.copyFrom(dOut));
            dWeight.ifPresent(d -> d.copyFrom(weight));
        }

        /** Without the bias. */
        @Override
        public void layerNorm(Tensor x, Tensor weight, Tensor bias, double eps, Tensor out, Tensor mean, Tensor scale) {
            out.copyFrom(Norms.layerNormDefinition(Var.constant(x), Var.constant(weight),
                    Var.constant(bias).mul(0), eps).tensor());
        }

        /** Without the residual. */
        @Override
        public void addLayerNorm(Tensor x, Tensor residual, Tensor weight, Tensor bias, double eps, Tensor sum, Tensor out,
                Tensor mean, Tensor scale) {
            sum.copyFrom(x);
            layerNorm(x, weight, bias, eps, out, mean, scale);
        }

        @Override
        public void layerNormBackward(Tensor x, Tensor weight, Tensor mean, Tensor scale, Tensor dOut, Optional<Tensor> more,
                Optional<Tensor> dx, Optional<Tensor> dWeight, Optional<Tensor> dBias) {
            dx.ifPresent(d -> d.copyFrom(dOut));
            dWeight.ifPresent(d -> d.copyFrom(weight));
            dBias.ifPresent(d -> d.copyFrom(weight));
        }
    }

    /** Turns the wrong way. */
    private static final class WrongRotary implements RotaryKernel {
        @Override
        public void rotate(Tensor x, Tensor cos, Tensor sin, boolean interleaved, boolean inverse, Tensor out) {
            Rotary.Layout layout = interleaved ? Rotary.Layout.INTERLEAVED : Rotary.Layout.HALF;
            out.copyFrom(Rotary.definition(Var.constant(x), cos, sin, layout, !inverse).tensor());
        }
    }

    /** Forgets the window, and gives no gradient. */
    private static final class WrongAttention implements AttentionKernel {
        private static Attention.Segment withoutWindow(Segment s) {
            Mask m = s.mask();
            return new Attention.Segment(Var.constant(s.key()), Var.constant(s.value()),
                    new Attention.Visible(m.causal(), m.offset(), 0, m.keyMask(), m.bias().map(Var::constant)));
        }

        @Override
        public void forward(Problem problem, Tensor out, Tensor lse) {
            List<Attention.Segment> segments = problem.segments().stream().map(WrongAttention::withoutWindow).toList();
            Attention.Result r = AttentionDefinition.attend(Var.constant(problem.query()), segments, problem.scale(),
                    problem.softcap());
            out.copyFrom(r.out().tensor());
            lse.copyFrom(r.lse().tensor());
        }

        @Override
        public void backward(Problem problem, Tensor out, Tensor lse, Tensor dOut, Optional<Tensor> dLse,
                Optional<Tensor> dQuery, List<Optional<Tensor>> dKey, List<Optional<Tensor>> dValue) {
            dQuery.ifPresent(d -> d.backend().fill(d, 0));
            dKey.forEach(k -> k.ifPresent(d -> d.backend().fill(d, 0)));
            dValue.forEach(v -> v.ifPresent(d -> d.backend().fill(d, 0)));
        }

        @Override
        public boolean supports(Problem problem) {
            return true;
        }
    }

    /** Starts from nothing, and forgets what the last state is worth. */
    private static final class WrongScan implements ScanKernel {
        @Override
        public void forward(Problem p, Tensor out, Tensor last, Optional<Tensor> kept) {
            SelectiveScan.Result r = SelectiveScan.definition(Var.constant(p.x()), Var.constant(p.dt()), Var.constant(p.a()),
                    Var.constant(p.b()), Var.constant(p.c()), Var.constant(p.d()), Var.constant(p.state()).mul(0));
            out.copyFrom(r.out().tensor());
            last.copyFrom(r.state().tensor());
        }

        @Override
        public void backward(Problem p, Tensor kept, Tensor dOut, Tensor dLast, Targets targets) {
            Stream.of(targets.x(), targets.dt(), targets.a(), targets.b(), targets.c(), targets.d(), targets.state())
                    .forEach(t -> t.ifPresent(d -> d.backend().fill(d, 0)));
        }
    }

    /** Right but for the gradient of the numbers. */
    private static final class WrongSparse implements SparseKernel {
        @Override
        public void product(SparsePattern pattern, Tensor values, Tensor x, Tensor y) {
            y.copyFrom(SparseLinear.definition(Var.constant(x.transpose(0, 1)), Var.constant(values), pattern).tensor().transpose(0, 1));
        }

        @Override
        public void products(SparsePattern pattern, Tensor dy, Tensor x, Tensor out) {
            out.backend().fill(out, 0);
        }
    }

    /** Right but for the logits' cap. */
    private static final class WrongVocabulary implements VocabularyKernel {
        @Override
        public boolean supports(Tensor hidden, Tensor weight) {
            return true;
        }

        @Override
        public void losses(Tensor hidden, Tensor weight, Tensor labels, double softcap, Tensor lse, Tensor target) {
            Var x = Var.constant(hidden.to(DType.F32));
            Var w = Var.constant(weight.to(DType.F32));
            target.backend().fill(target, 0);
            lse.copyFrom(LinearCrossEntropy.definition(x, w, labels, CrossEntropy.Options.NONE).tensor());
        }
    }

    /** Lets the weights decay once more. */
    private static final class WrongAdamW implements AdamWKernel {
        @Override
        public void step(Tensor parameter, Tensor gradient, Tensor m, Tensor v, double lr, double beta1, double beta2,
                double eps, double weightDecay, long step) {
            parameter.copyFrom(Var.constant(parameter).mul(1 - lr * weightDecay).tensor());
        }
    }

    @Test
    void wrongKernelsAreNoticed() {
        assertThat(KernelConformance.firstFailure(new With(new WrongAdamW()), "adamW")).isPresent();
        assertThat(KernelConformance.firstFailure(new With(new WrongNorm()), "rmsNorm/frozen weight")).isPresent();
        assertThat(KernelConformance.firstFailure(new With(new WrongNorm()), "rmsNorm/frozen rows")).isPresent();
        assertThat(KernelConformance.firstFailure(new With(new WrongNorm()), "layerNorm/17")).isPresent();
        assertThat(KernelConformance.firstFailure(new With(new WrongRotary()), "rotary")).isPresent();
        assertThat(KernelConformance.firstFailure(new With(new WrongScan()), "scan"))
                .hasValueSatisfying(m -> assertThat(m).contains("output 0"));
        assertThat(KernelConformance.firstFailure(new With(new WrongScan()), "scan/from nothing"))
                .hasValueSatisfying(m -> assertThat(m).contains("gradient"));
        assertThat(KernelConformance.firstFailure(new With(new WrongSparse()), "sparse/frozen numbers")).isEmpty();
        assertThat(KernelConformance.firstFailure(new With(new WrongSparse()), "sparse"))
                .hasValueSatisfying(m -> assertThat(m).contains("gradient by parameter 1"));
        assertThat(KernelConformance.firstFailure(new With(new WrongVocabulary()), "vocabulary/rows")).isEmpty();
        assertThat(KernelConformance.firstFailure(new With(new WrongVocabulary()), "vocabulary/capped"))
                .hasValueSatisfying(m -> assertThat(m).contains("output 0"));
        assertThat(KernelConformance.firstFailure(new With(new WrongAttention()), "attention/window"))
                .hasValueSatisfying(m -> assertThat(m).contains("output 0"));
        assertThat(KernelConformance.firstFailure(new With(new WrongAttention()), "attention/causal"))
                .hasValueSatisfying(m -> assertThat(m).contains("gradient"));
    }
}
