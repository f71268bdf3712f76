package dev.jotune.peft.steps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.TrainableSelector;
import dev.jotune.models.Backbone;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.objectives.TinyDecoders;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Descent;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.Objective;
import dev.jotune.peft.train.StepInput;
import dev.jotune.peft.train.TrainListener;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.SettledMemory;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import org.junit.jupiter.api.Test;

/** Zeroth-order steps (arXiv 2305.17333). */
class MezoTest {
    private static final Objective CAUSAL = Objective.CAUSAL_LM;

    private static SequencedMap<String, Var> parameters(int... sizes) {
        SequencedMap<String, Var> out = new LinkedHashMap<>();
        for (int s = 0; s < sizes.length; s++) {
            double[] values = new double[sizes[s]];
            int stream = s;
            Arrays.setAll(values, i -> Philox.normal(1, stream, i));
            out.put("p" + s, Var.parameter(Tensor.of(Backends.cpu(), DType.F32, values, sizes[s] / 2, 2)));
        }
        return out;
    }

    private static float[] all(SequencedMap<String, Var> p) {
        int n = p.values().stream().mapToInt(v -> (int) v.tensor().numel()).sum();
        float[] out = new float[n];
        int at = 0;
        for (Var v : p.values()) {
            float[] part = v.tensor().toFloatArray();
            System.arraycopy(part, 0, out, at, part.length);
            at += part.length;
        }
        return out;
    }

    @Test
    void movingThereTwiceBackAndThereAgainReturnsWithinAFewUlps() {
        SequencedMap<String, Var> p = parameters(10_000, 6, 2);
        float[] start = all(p);
        Mezo.move(p, 7, 3, 0, 1, 1e-3);
        assertThat(all(p)).isNotEqualTo(start);
        Mezo.move(p, 7, 3, 0, 1, -2e-3);
        Mezo.move(p, 7, 3, 0, 1, 1e-3);
        float[] end = all(p);
        for (int i = 0; i < start.length; i++) {
            // Each of three sums is off by half a unit of what was there, which is at most 8.6 eps larger.
            assertThat(end[i]).isCloseTo(start[i], within(3 * Math.ulp(Math.abs(start[i]) + 0.02f)));
        }
    }

    @Test
    void noiseDiffersBetweenPartsTensorsStepsAndSamples() {
        float[][] drawn = new float[3][];
        for (int i = 0; i < 3; i++) {
            SequencedMap<String, Var> zero = new LinkedHashMap<>(parameters(9000, 9000));
            zero.values().forEach(v -> v.backend().fill(v.tensor(), 0));
            Mezo.move(zero, 7, i == 1 ? 1 : 0, i == 2 ? 1 : 0, 1, 1);
            drawn[i] = all(zero);
        }
        float[] z = drawn[0];
        assertThat(Arrays.copyOfRange(z, 0, 100)).isNotEqualTo(Arrays.copyOfRange(z, 4096, 4196))
                .isNotEqualTo(Arrays.copyOfRange(z, 9000, 9100))
                .isNotEqualTo(Arrays.copyOfRange(drawn[1], 0, 100)).isNotEqualTo(Arrays.copyOfRange(drawn[2], 0, 100));
        double squares = 0;
        for (float v : z) {
            squares += v * v;
        }
        assertThat(squares / z.length).isCloseTo(1, within(0.05));
    }

    /** On L = sum_i c_i theta_i^2 / 2 the mean of g z over many seeds is the gradient c theta. */
    @Test
    void theMeanOfManyEstimatesIsTheGradient() {
        int n = 60;
        SequencedMap<String, Var> p = parameters(n);
        float[] theta = all(p);
        double[] mean = new double[n];
        for (int seed = 0; seed < 20_000; seed++) {
            SequencedMap<String, Var> z = new LinkedHashMap<>(Map.of("p0", Var.parameter(Tensor.zeros(Backends.cpu(), DType.F32, n / 2, 2))));
            Mezo.move(z, seed, 0, 0, 1, 1);
            float[] direction = all(z);
            double plus = 0;
            double minus = 0;
            for (int i = 0; i < n; i++) {
                plus += (1 + i % 5) * Math.pow(theta[i] + 1e-3 * direction[i], 2) / 2;
                minus += (1 + i % 5) * Math.pow(theta[i] - 1e-3 * direction[i], 2) / 2;
            }
            for (int i = 0; i < n; i++) {
                mean[i] += (plus - minus) / 2e-3 * direction[i] / 20_000;
            }
        }
        double dot = 0;
        double a = 0;
        double b = 0;
        for (int i = 0; i < n; i++) {
            double gradient = (1 + i % 5) * theta[i];
            dot += gradient * mean[i];
            a += gradient * gradient;
            b += mean[i] * mean[i];
        }
        assertThat(dot / Math.sqrt(a * b)).isGreaterThan(0.95);
    }

    /** The most bytes beyond those that are there anyway. */
    private static long peak(Runnable work) {
        long before = SettledMemory.inUse();
        work.run();
        return HostMemory.peakBytes() - before;
    }

    @Test
    void aStepTakesTheMemoryOfInferenceAndRecordsNothing() {
        CausalLm model = TinyDecoders.make("llama", 8, false);
        Adapter adapter = Adapters.create(model, "default", Lora.DEFAULTS, 1);
        Batch batch = Batch.of(ToyTexts.counting(8, 40).stream(1, 0, 8), model.backend(), false);
        Objective watched = (m, b, pass) -> {
            assertThat(Recording.isOn()).isFalse();
            return CAUSAL.loss(m, b, pass);
        };
        StepInput input = new StepInput(model, watched, List.of(batch), adapter.trainables(), 1, 0);
        Descent descent = Mezo.DEFAULTS.start(TrainOptions.DEFAULTS, 10);
        StepInput recorded = new StepInput(model, CAUSAL, List.of(batch), adapter.trainables(), 1, 0);
        // Once for what is made at a first use.
        peak(() -> descent.step(input));
        long inference = peak(() -> {
            try (Scope _ = Scope.open()) {
                input.loss();
            }
        });
        long mezo = peak(() -> {
            try (Scope _ = Scope.open()) {
                descent.step(input);
            }
        });
        long backpropagation = peak(() -> {
            try (Scope _ = Scope.open()) {
                recorded.slope();
            }
        });
        assertThat(mezo).as("bytes of a step; of a forward pass alone").isLessThanOrEqualTo(inference * 105 / 100);
        assertThat(backpropagation).as("what gradients take").isGreaterThan(2 * inference);
    }

    @Test
    void theLogOfARunMakesItsWeightsAgain() {
        TrainOptions options = TrainOptions.DEFAULTS.withMaxSteps(30).withBatchSize(4).withLearningRate(1e-2).withWeightDecay(0.1);
        Mezo mezo = new Mezo(1e-3, 2);
        Adapter trained = Adapters.create(TinyDecoders.make("llama", false), "default", Lora.DEFAULTS, 1);
        double[][] log = new double[1][];
        Descent.Factory logged = (o, total) -> new Logged(mezo.start(o, total), log);
        TrainingStep step = new TrainingStep("mezo", CAUSAL, TrainableSelector.all(), Optional.empty(),
                Optional.of(logged));
        Trainer.run(trained, ToyTexts.counting(12, 20), options, step, Optional.empty(), false, TrainListener.NONE);
        Adapter again = Adapters.create(TinyDecoders.make("llama", false), "default", Lora.DEFAULTS, 1);
        float[] start = all(again.trainables());
        mezo.replay(again.trainables(), options, 30, log[0]);
        float[] want = all(trained.trainables());
        float[] got = all(again.trainables());
        assertThat(log[0]).hasSize(60);
        assertThat(want).isNotEqualTo(start);
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).isCloseTo(want[i], within(1e-5f));
        }
    }

    private record Logged(Descent inner, double[][] log) implements Descent {
        @Override
        public Outcome step(StepInput step) {
            Outcome o = inner.step(step);
            log[0] = inner.state().values().iterator().next().toDoubleArray();
            return o;
        }

        @Override
        public double rate() {
            return inner.rate();
        }

        @Override
        public Map<String, Tensor> state() {
            return inner.state();
        }

        @Override
        public void restore(Map<String, Tensor> state, long steps) {
            inner.restore(state, steps);
        }
    }

    /** The share of texts whose last token is guessed wrong: no gradient reaches it. */
    private static final Objective ERROR_RATE = new Objective() {
        @Override
        public Var loss(Backbone model, Batch batch, Pass pass) {
            return Var.constant(Tensor.full(model.backend(), DType.F32, 1 - ToyTexts.accuracy(model.as(CausalLm.class), batch.examples(), pass)));
        }
    };

    @Test
    void aPrefixLearnsToClassifyFromLossesAndFromTheErrorRateItself() {
        Dataset task = ToyTexts.parity(32);
        List<Example> texts = task.stream(1, 0, 32);
        for (boolean exact : new boolean[] {false, true}) {
            CausalLm model = TinyDecoders.make("llama", false);
            Adapter adapter = Adapters.create(model, "default", PrefixTuning.DEFAULTS.withTokens(5), 1);
            double before = ToyTexts.accuracy(model, texts, model.seams().inference());
            TrainOptions options = TrainOptions.DEFAULTS.withMaxSteps(exact ? 200 : 400).withBatchSize(32).withLearningRate(exact ? 0.1 : 3e-2)
                    .withSchedule("constant").withSeed(3);
            TrainingStep step = TrainingStep.of(exact ? ERROR_RATE : CAUSAL).descend(new Mezo(exact ? 0.3 : 0.1, 1));
            Trainer.run(adapter, task, options, step, Optional.empty(), false, TrainListener.NONE);
            double after = ToyTexts.accuracy(model, texts, model.seams().inference());
            assertThat(after).as("accuracy, %s before", before).isGreaterThanOrEqualTo(before + (exact ? 0.05 : 0.10));
        }
    }

    @Test
    void senselessSettingsAndForeignStatesAreRefused() {
        assertThatThrownBy(() -> new Mezo(0, 1)).hasMessageContaining("epsilon 0.0");
        assertThatThrownBy(() -> new Mezo(1e-3, 0)).hasMessageContaining("0 samples");
        Descent d = Mezo.DEFAULTS.start(TrainOptions.DEFAULTS, 5);
        assertThatThrownBy(() -> d.restore(Map.of(), 2)).hasMessageContaining("not of MeZO after 2 steps");
    }
}
