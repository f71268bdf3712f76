package dev.jotune.autograd.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OptimTransformTest {
    private static final Backend CPU = Backends.cpu();

    private static Tensor vector(float... values) {
        return Tensor.of(CPU, values, values.length);
    }

    private static Trainable trainable(String name, Tensor gradient) {
        return new Trainable(name, Tensor.full(CPU, gradient.dtype(), 2, gradient.shape()), gradient);
    }

    private static float[] apply(GradientTransform transform, Tensor gradient) {
        return transform.apply(0, List.of(trainable("x", gradient))).getFirst().gradient().toFloatArray();
    }

    @Test
    void maskedElementsHaveNoGradient() {
        Tensor mask = Tensor.of(CPU, new boolean[] {true, false, true}, 3);
        assertThat(apply(GradientTransforms.mask(Map.of("x", mask)), vector(1, 2, 3))).containsExactly(1, 0, 3);
        assertThat(apply(GradientTransforms.mask(Map.of("y", mask)), vector(1, 2))).containsExactly(1, 2);
    }

    @Test
    void aMaskStretchesToTheGradient() {
        Tensor mask = vector(0, 1);
        Tensor gradient = Tensor.of(CPU, new float[] {1, 2, 3, 4}, 2, 2);
        assertThat(apply(GradientTransforms.mask(Map.of("x", mask)), gradient)).containsExactly(0, 2, 0, 4);
    }

    @Test
    void whatIsNotSelectedDoesNotMoveAtAll() {
        GradientTransform odd = GradientTransforms.select((step, names) ->
                TrainableSelector.matching(step % 2 == 0 ? "^a" : "^b").select(step, names));
        Optimizer optimizer = new AdamW(0.5).with(Schedule.constant(0.1)).after(odd);
        Trainable a = trainable("a", vector(1, 1));
        Trainable b = trainable("b", vector(1, 1));
        optimizer.step(List.of(a, b));
        assertThat(a.parameter().toFloatArray()).doesNotContain(2f);
        assertThat(b.parameter().toFloatArray()).containsOnly(2f);
        float[] afterFirst = a.parameter().toFloatArray();
        optimizer.step(List.of(a, b));
        assertThat(a.parameter().toFloatArray()).isEqualTo(afterFirst);
        assertThat(b.parameter().toFloatArray()).doesNotContain(2f);
    }

    @Test
    void simpleTransformsDoWhatTheySay() {
        assertThat(apply(GradientTransforms.scale(-3), vector(1, -2))).containsExactly(-3, 6);
        assertThat(apply(GradientTransforms.weightDecay(0.5), vector(1, -2))).containsExactly(2, -1);
        assertThat(apply(GradientTransforms.clipByValue(1.5), vector(1, -2, 3))).containsExactly(1, -1.5f, 1.5f);
        assertThat(apply(GradientTransforms.normalise(0), vector(3, -4))).containsExactly(0.6f, -0.8f);
        assertThat(apply(GradientTransforms.scale(2).then(GradientTransforms.clipByValue(3)), vector(1, 2)))
                .containsExactly(2, 3);
    }

    @Test
    void centralisedGradientsSumToZeroPerOutput() {
        Tensor gradient = Tensor.of(CPU, new float[] {1, 2, 3, 4, 10, 20, 30, 40}, 2, 2, 2);
        assertThat(apply(GradientTransforms.centralise(), gradient))
                .containsExactly(-1.5f, -0.5f, 0.5f, 1.5f, -15, -5, 5, 15);
        assertThat(apply(GradientTransforms.centralise(), vector(1, 2))).containsExactly(1, 2);
    }

    @Test
    void gradientsThatShareMemoryAreScaledOnce() {
        Tensor shared = vector(3, 4);
        List<Trainable> out = GradientTransforms.clipByNorm(1).apply(0,
                List.of(trainable("x", shared), trainable("y", shared)));
        double norm = Math.sqrt(50);
        for (Trainable t : out) {
            assertThat(t.gradient().toDoubleArray()[0]).isCloseTo(3 / norm, within(1e-6));
        }
        assertThat(shared.toFloatArray()).containsExactly(3, 4);
    }

    @Test
    void normsCoverEveryRankAndIgnoreEmptyTensors() {
        ClipByNorm clip = GradientTransforms.clipByNorm(100);
        clip.apply(0, List.of(trainable("scalar", Tensor.full(CPU, DType.F32, 1)),
                trainable("empty", Tensor.zeros(CPU, DType.F32, 0, 3)),
                trainable("matrix", Tensor.full(CPU, DType.F32, 2, 2, 3)),
                trainable("transposed", Tensor.of(CPU, new float[] {1, 1, 1, 1, 1, 1}, 2, 3).transpose(0, 1))));
        assertThat(clip.lastNorm()).isCloseTo(Math.sqrt(1 + 24 + 6), within(1e-6));
        ClipByNorm cubic = GradientTransforms.clipByNorm(100, 3);
        cubic.apply(0, List.of(trainable("x", vector(1, -2))));
        assertThat(cubic.lastNorm()).isCloseTo(Math.cbrt(9), within(1e-6));
    }

    @Test
    void anUndefinedNormIsNotTakenForASmallOne() {
        ClipByNorm clip = GradientTransforms.clipByNorm(1, Double.POSITIVE_INFINITY);
        List<Trainable> out = clip.apply(0, List.of(trainable("x", vector(1, Float.NaN)), trainable("y", vector(1))));
        assertThat(clip.lastNorm()).isNaN();
        assertThat(out.getLast().gradient().toFloatArray()[0]).isNaN();
    }

    @Test
    void accumulatedGradientsActAsTheirMean() {
        Trainable p = trainable("x", vector(1, 3));
        Optimizer optimizer = new Sgd().with(Schedule.constant(1)).after(GradientTransforms.accumulate(2));
        optimizer.step(List.of(p));
        assertThat(p.parameter().toFloatArray()).containsOnly(2f);
        assertThat(optimizer.steps()).isZero();
        optimizer.step(List.of(p.withGradient(vector(3, 5))));
        assertThat(p.parameter().toFloatArray()).containsExactly(0, -2);
        assertThat(optimizer.steps()).isEqualTo(1);
    }

    @Test
    void aRoundOfAccumulationStartsFromZeroAndFollowsTheLastCallsParameters() {
        GradientTransform two = GradientTransforms.accumulate(2);
        assertThat(two.apply(0, List.of(trainable("x", vector(8)), trainable("y", vector(8))))).isEmpty();
        List<Trainable> first = two.apply(1, List.of(trainable("x", vector(2))));
        assertThat(first).singleElement().satisfies(t -> assertThat(t.gradient().toFloatArray()).containsExactly(5));
        assertThat(two.apply(2, List.of(trainable("x", vector(1)), trainable("y", vector(6))))).isEmpty();
        List<Trainable> second = two.apply(3, List.of(trainable("x", vector(1)), trainable("y", vector(2))));
        assertThat(second.get(0).gradient().toFloatArray()).containsExactly(1);
        assertThat(second.get(1).gradient().toFloatArray()).containsExactly(4);
    }

    private static Optimizer chained() {
        return new AdamW().with(step -> 0.1 / (1 + step)).after(GradientTransforms.chain(
                GradientTransforms.accumulate(3), GradientTransforms.clipByNorm(0.5), GradientTransforms.scale(2)));
    }

    private static void run(Optimizer optimizer, Tensor parameter, int from, int to) {
        for (int i = from; i < to; i++) {
            try (Scope _ = Scope.open()) {
                optimizer.step(List.of(new Trainable("x", parameter, vector(i, 1f / (i + 1), -i))));
            }
        }
    }

    @Test
    void aChainStoppedAmidAnAccumulationGoesOnBitForBit() {
        Tensor whole = vector(1, 2, 3);
        Optimizer first = chained();
        run(first, whole, 0, 5);
        Tensor half = whole.copy();
        Map<String, Tensor> saved = new LinkedHashMap<>();
        first.state().forEach((name, t) -> saved.put(name, t.copy()));
        long steps = first.steps();
        run(first, whole, 5, 11);

        Optimizer second = chained();
        second.restore(saved, steps);
        run(second, half, 5, 11);
        assertThat(steps).isEqualTo(1);
        assertThat(half.toFloatArray()).isEqualTo(whole.toFloatArray());
        assertThat(second.steps()).isEqualTo(first.steps()).isEqualTo(3);
    }

    @Test
    void anotherChainsStateIsRefused() {
        Optimizer first = chained();
        run(first, vector(1, 2, 3), 0, 4);
        Optimizer plain = new AdamW().with(Schedule.constant(1)).after(GradientTransforms.scale(2));
        assertThatThrownBy(() -> plain.restore(first.state(), 1)).isInstanceOf(IllegalArgumentException.class);
        Optimizer bare = new AdamW().with(Schedule.constant(1));
        assertThatThrownBy(() -> bare.restore(first.state(), 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> chained().restore(Map.of(), 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void selectorsCompose() {
        List<String> names = List.of("a.weight", "a.bias", "b.weight");
        TrainableSelector weights = TrainableSelector.matching("weight$");
        TrainableSelector a = TrainableSelector.matching("^a");
        assertThat(TrainableSelector.all().select(0, names)).containsExactlyElementsOf(names);
        assertThat(weights.and(a).select(0, names)).containsExactly("a.weight");
        assertThat(weights.not().or(a).select(0, names)).containsExactly("a.weight", "a.bias");
        assertThat(weights.until(3, a).select(2, names)).containsExactly("a.weight", "b.weight");
        assertThat(weights.until(3, a).select(3, names)).containsExactly("a.weight", "a.bias");
    }

    @Test
    void gradientsThatDoNotFitAreRefused() {
        assertThatThrownBy(() -> new Trainable("x", vector(1, 2), vector(1)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'x'").hasMessageContaining("[2]");
    }
}
