package dev.jotune.autograd.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Runs that stop and go on, and parameters that come and go. */
class OptimContinuationTest {
    private static final Backend CPU = Backends.cpu();

    @TempDir
    private Path folder;

    static Stream<Arguments> rules() {
        List<UpdateRule> rules = new ArrayList<>();
        Optimizers.names().forEach(name -> rules.add(Optimizers.byName(name, Map.of())));
        rules.add(new Sgd(0.9, 0.1, false, 0.01));
        rules.add(new Sgd(0.9, 0, true, 0.01));
        rules.add(new AdamW(0.9, 0.99, 1e-8, 0.1, true));
        rules.add(new RmsProp(0.9, 1e-8, 0.1, 0.5, true));
        rules.add(Optimizers.byName("adafactor", Map.of("beta1", 0.9, "lr", 0.1)));
        rules.add(UpdateRule.choose(name -> name.endsWith("bias") ? new Lion() : new Adam().scaled(2)));
        rules.add(new AdamW().inFullPrecision());
        return rules.stream().flatMap(r -> Stream.of(Arguments.of(r, CPU, DType.F32),
                Arguments.of(r, Backends.reference(), DType.F64), Arguments.of(r, CPU, DType.BF16)));
    }

    private static double noise(long step, int i) {
        return Math.sin(step * 12.9898 + i * 78.233) + 0.1;
    }

    private static Tensor tensor(Backend backend, DType dtype, long seed, long... shape) {
        int n = 1;
        for (long s : shape) {
            n *= (int) s;
        }
        double[] values = new double[n];
        for (int i = 0; i < n; i++) {
            values[i] = noise(seed, i);
        }
        return Tensor.of(backend, dtype, values, shape);
    }

    private static Map<String, Tensor> parameters(UpdateRule rule, Backend backend, DType dtype) {
        Map<String, Tensor> all = new LinkedHashMap<>();
        all.put("a.weight", tensor(backend, dtype, 100, 3, 5));
        if (!rule.name().equals("muon")) {
            all.put("a.bias", tensor(backend, dtype, 101, 5));
            all.put("conv", tensor(backend, dtype, 102, 2, 2, 3));
            all.put("gate", tensor(backend, dtype, 103));
        }
        return all;
    }

    private static void steps(Optimizer optimizer, Map<String, Tensor> parameters, long from, long to) {
        for (long i = from; i < to; i++) {
            try (Scope _ = Scope.open()) {
                List<Trainable> all = new ArrayList<>();
                for (Map.Entry<String, Tensor> e : parameters.entrySet()) {
                    Tensor p = e.getValue();
                    all.add(new Trainable(e.getKey(), p,
                            tensor(p.backend(), p.dtype() == DType.F64 ? DType.F64 : DType.F32, i, p.shape())));
                }
                optimizer.step(all);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("rules")
    void aRestoredRunGoesOnBitForBit(UpdateRule rule, Backend backend, DType dtype) throws IOException {
        Schedule schedule = step -> 0.01 / (1 + step);
        Map<String, Tensor> whole = parameters(rule, backend, dtype);
        Optimizer optimizer = rule.with(schedule);
        steps(optimizer, whole, 0, 3);
        Map<String, double[]> before = new LinkedHashMap<>();
        whole.forEach((name, p) -> before.put(name, p.toDoubleArray()));
        new RunState(optimizer.steps(), 1, 0, List.of(), "", Map.of(), whole, optimizer.state()).save(folder);
        steps(optimizer, whole, 3, 7);

        RunState saved = RunState.latest(folder, backend).orElseThrow().state();
        Map<String, Tensor> resumed = new LinkedHashMap<>();
        whole.keySet().forEach(name -> resumed.put(name, saved.parameters().get(name)));
        Optimizer second = rule.with(schedule);
        second.restore(saved.optimizer(), saved.step());
        assertThat(second.state().keySet()).isEqualTo(optimizer.state().keySet());
        assertThat(second.rate()).isEqualTo(schedule.rate(3));
        steps(second, resumed, 3, 7);

        whole.forEach((name, p) -> {
            assertThat(resumed.get(name).toDoubleArray()).as(name).isEqualTo(p.toDoubleArray());
            // A small step may round to nothing in BF16.
            if (dtype != DType.BF16) {
                assertThat(p.toDoubleArray()).as(name + " moves").isNotEqualTo(before.get(name));
            }
        });
        optimizer.state().forEach((name, t) ->
                assertThat(second.state().get(name).toDoubleArray()).as(name).isEqualTo(t.toDoubleArray()));
    }

    @Test
    void aNewParameterStartsFreshAndAVanishedOneIsForgotten() {
        Optimizer optimizer = new AdamW().with(Schedule.constant(0.1));
        Map<String, Tensor> first = new LinkedHashMap<>(Map.of("x", tensor(CPU, DType.F32, 1, 4)));
        steps(optimizer, first, 0, 2);
        Map<String, Tensor> second = new LinkedHashMap<>(Map.of("y", tensor(CPU, DType.F32, 2, 4)));
        Tensor alone = tensor(CPU, DType.F32, 2, 4);
        steps(optimizer, second, 2, 5);
        steps(new AdamW().with(Schedule.constant(0.1)), Map.of("y", alone), 2, 5);

        assertThat(second.get("y").toFloatArray()).isEqualTo(alone.toFloatArray());
        assertThat(optimizer.state()).containsOnlyKeys("adamw.step.y", "adamw.m.y", "adamw.v.y");
        assertThat(optimizer.state().get("adamw.step.y").toLongArray()).containsExactly(3);
        assertThat(optimizer.steps()).isEqualTo(5);
    }

    @Test
    void aParameterOfAnotherShapeIsAnotherParameter() {
        Optimizer optimizer = new Adam().with(Schedule.constant(0.1));
        steps(optimizer, Map.of("x", tensor(CPU, DType.F32, 1, 4)), 0, 2);
        steps(optimizer, Map.of("x", tensor(CPU, DType.F32, 1, 2)), 2, 3);
        assertThat(optimizer.state().get("adam.m.x").shape()).containsExactly(2);
        assertThat(optimizer.state().get("adam.step.x").toLongArray()).containsExactly(1);
    }

    @Test
    void nothingToTrainIsNoStep() {
        Optimizer optimizer = new Sgd().with(Schedule.constant(0.1));
        optimizer.step(List.of());
        assertThat(optimizer.steps()).isZero();
    }

    @Test
    void stateOfAnotherOptimiserIsRefused() {
        Optimizer adam = new Adam().with(Schedule.constant(0.1));
        steps(adam, Map.of("x", tensor(CPU, DType.F32, 1, 4)), 0, 1);
        assertThatThrownBy(() -> new Lion().with(Schedule.constant(0.1)).restore(adam.state(), 1))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("is not of the optimiser 'lion'");
        Optimizer amsgrad = new Adam(0.9, 0.999, 1e-8, 0, true).with(Schedule.constant(0.1));
        amsgrad.restore(adam.state(), 1);
        assertThatThrownBy(() -> steps(amsgrad, Map.of("x", tensor(CPU, DType.F32, 1, 4)), 1, 2))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("no 'vmax'");
    }

    @Test
    void oneNameTwiceIsRefused() {
        Tensor x = tensor(CPU, DType.F32, 1, 4);
        Trainable t = new Trainable("x", x, x);
        assertThatThrownBy(() -> new Sgd().with(Schedule.constant(0.1)).step(List.of(t, t)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("'x'");
    }

    @Test
    void aScaledRuleTakesProportionalSteps() {
        Tensor x = Tensor.of(CPU, new float[] {1, 2}, 2);
        Tensor g = Tensor.of(CPU, new float[] {1, -1}, 2);
        new Sgd().scaled(8).with(Schedule.constant(0.125)).step(List.of(new Trainable("x", x, g)));
        assertThat(x.toFloatArray()).containsExactly(0f, 3f);
    }

    @Test
    void fullPrecisionKeepsStepsThatBf16Loses() {
        Tensor plain = Tensor.full(CPU, DType.BF16, 1, 1);
        Tensor kept = plain.copy();
        Tensor gradient = Tensor.full(CPU, DType.F32, 1, 1);
        Optimizer lossy = new Sgd().with(Schedule.constant(1.0 / 1024));
        Optimizer exact = new Sgd().inFullPrecision().with(Schedule.constant(1.0 / 1024));
        for (int i = 0; i < 256; i++) {
            lossy.step(List.of(new Trainable("x", plain, gradient)));
            exact.step(List.of(new Trainable("x", kept, gradient)));
        }
        assertThat(plain.item()).isEqualTo(1);
        assertThat(kept.item()).isEqualTo(0.75);
    }

    @Test
    void combinedRulesSaveUnderTheNamesOfTheirParts() {
        UpdateRule rule = UpdateRule.choose(name -> name.equals("x") ? new Lion() : new Adam().scaled(2));
        Optimizer optimizer = rule.inFullPrecision().scaled(3).with(Schedule.constant(0.1));
        Map<String, Tensor> parameters = new LinkedHashMap<>();
        parameters.put("x", tensor(CPU, DType.F32, 1, 4));
        parameters.put("y", tensor(CPU, DType.F32, 1, 4));
        Tensor alone = parameters.get("y").copy();
        steps(optimizer, parameters, 0, 2);
        steps(new Adam().with(Schedule.constant(0.6)), Map.of("y", alone), 0, 2);
        assertThat(optimizer.state())
                .containsOnlyKeys("lion.step.x", "lion.m.x", "adam.step.y", "adam.m.y", "adam.v.y");
        assertThat(parameters.get("y").toFloatArray()).containsExactly(alone.toFloatArray(),
                within(1e-6f));
    }

    @Test
    void unknownNamesAndSettingsAreErrorsThatSayWhatThereIs() {
        assertThatThrownBy(() -> Optimizers.byName("adamx", Map.of())).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("adamw");
        assertThatThrownBy(() -> Optimizers.byName("adamw", Map.of("beta", 1)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("betas");
        assertThatThrownBy(() -> Schedules.byName("linear", Map.of("total", 5, "warm", 1)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("warm");
        assertThatThrownBy(() -> Schedules.byName("linear", Map.of("base_lr", 1)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("total");
    }
}
