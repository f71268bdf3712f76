package dev.jotune.peft.steps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.objectives.TinyDecoders;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Descent;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.Objective;
import dev.jotune.peft.train.StepInput;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;

/** Prompts of every layer without gradients (arXiv 2205.11200). */
class BlackBoxTest {
    /** The least value within a budget. */
    private static double search(int n, int population, int evaluations, ToDoubleFunction<double[]> f) {
        double best = Double.POSITIVE_INFINITY;
        try (AskTell search = new AskTell(n, population, 0.5, 7)) {
            for (int i = 0; i < evaluations; i++) {
                Optional<double[]> point = search.ask();
                if (point.isEmpty()) {
                    return best;
                }
                double value = f.applyAsDouble(point.get());
                best = Math.min(best, value);
                search.tell(value);
            }
        }
        return best;
    }

    @Test
    void theSearchSolvesTheUsualProblems() {
        assertThat(search(20, 20, 30_000, x -> {
            double sum = 0;
            for (int i = 0; i + 1 < x.length; i++) {
                sum += 100 * Math.pow(x[i + 1] - x[i] * x[i], 2) + Math.pow(1 - x[i], 2);
            }
            return sum;
        })).isLessThan(1e-8);
        assertThat(search(10, 10, 8_000, x -> {
            double sum = 0;
            for (int i = 0; i < x.length; i++) {
                sum += Math.pow(1e6, i / 9.0) * Math.pow(x[i] - 1, 2);
            }
            return sum;
        })).isLessThan(1e-8);
    }

    @Test
    void theSameValuesLeadToTheSamePoints() {
        try (AskTell one = new AskTell(5, 6, 1, 3); AskTell two = new AskTell(5, 6, 1, 3); AskTell other = new AskTell(5, 6, 1, 4)) {
            boolean differs = false;
            for (int i = 0; i < 40; i++) {
                double[] point = one.ask().orElseThrow();
                assertThat(two.ask().orElseThrow()).isEqualTo(point);
                differs |= !Arrays.equals(other.ask().orElseThrow(), point);
                double value = Arrays.stream(point).map(x -> (x - 1) * (x - 1)).sum();
                one.tell(value);
                two.tell(value);
                other.tell(value);
            }
            assertThat(differs).isTrue();
        }
    }

    private static Adapter prefix(long seed) {
        return Adapters.create(TinyDecoders.make("llama", 2, false), "default", PrefixTuning.DEFAULTS.withTokens(5), seed);
    }

    private static StepInput input(Adapter a, Objective o, Dataset data, long step) {
        Batch b = Batch.of(data.stream(1, 0, 16), a.model().backend(), false);
        return new StepInput(a.model(), o, List.of(b), a.trainables(), 1, step);
    }

    /** The first candidate is z = 0: what the model gives without a search. */
    @Test
    void itBeginsWithTheStartAndRecordsNothing() {
        Adapter a = prefix(1);
        double[] start = a.trainables().firstEntry().getValue().tensor().toDoubleArray();
        double[][] seen = new double[1][];
        Objective watched = (m, b, pass) -> {
            assertThat(Recording.isOn()).isFalse();
            if (seen[0] == null) {
                seen[0] = a.trainables().firstEntry().getValue().tensor().toDoubleArray();
            }
            return Objective.CAUSAL_LM.loss(m, b, pass);
        };
        try (Descent d = new BlackBox(8, 6, 1, 2).start(TrainOptions.DEFAULTS, 10)) {
            d.step(input(a, watched, ToyTexts.parity(16), 0));
        }
        assertThat(seen[0]).isEqualTo(start);
        double[] now = a.trainables().firstEntry().getValue().tensor().toDoubleArray();
        int half = now.length / 5 / 2;
        for (int i = 0; i < now.length; i++) {
            boolean second = i / half % 2 == 1;
            assertThat(!second || now[i] == start[i]).as("the second layer waits for its turn").isTrue();
        }
    }

    /** Losses of one block, each step on texts of its own, which are harder or easier by a power of two. */
    private static List<double[]> places(double... factors) {
        Adapter a = prefix(1);
        Var v = a.trainables().firstEntry().getValue();
        Tensor target = v.tensor();
        List<double[]> places = new ArrayList<>();
        try (Descent d = new BlackBox(8, 6, 1, 1).start(TrainOptions.DEFAULTS, 10)) {
            for (int step = 0; step < factors.length; step++) {
                double factor = factors[step];
                List<double[]> tried = new ArrayList<>();
                List<Double> losses = new ArrayList<>();
                Objective o = (m, b, pass) -> {
                    double[] p = target.toDoubleArray();
                    double loss = factor * (float) Arrays.stream(p).sum();
                    tried.add(p);
                    losses.add(loss);
                    return Var.constant(Tensor.full(m.backend(), m.computeType(), loss));
                };
                double said = d.step(input(a, o, ToyTexts.parity(16), step)).loss();
                assertThat(tried).hasSize(7);
                // The best before is tried again, so that one step's texts judge all.
                assertThat(step == 0 || Arrays.equals(tried.getFirst(), places.getLast())).isTrue();
                double least = losses.stream().mapToDouble(x -> x).min().orElseThrow();
                assertThat(said).isEqualTo(least);
                places.add(target.toDoubleArray());
                assertThat(places.getLast()).isEqualTo(tried.get(losses.indexOf(least)));
            }
        }
        return places;
    }

    /** Only what was measured on the same texts is compared: texts that are harder or easier change nothing. */
    @Test
    void stepsOnOtherTextsAreNotRankedAgainstEachOther() {
        List<double[]> same = places(1, 1, 1, 1, 1);
        List<double[]> other = places(1, 1024, 1 / 1024.0, 4, 64);
        assertThat(same.getFirst()).isNotEqualTo(same.getLast());
        for (int step = 0; step < same.size(); step++) {
            assertThat(other.get(step)).as("after step %d", step).isEqualTo(same.get(step));
        }
    }

    @Test
    void aSearchThatBreaksOffSaysSo() {
        try (AskTell search = new AskTell(3, 4, -1, 7)) {
            assertThatThrownBy(search::ask).isInstanceOf(IllegalStateException.class).hasMessageContaining("broke off").hasMessageContaining("-1");
            assertThatThrownBy(search::ask).isInstanceOf(IllegalStateException.class);
        }
    }

    private static double[] trained(int searched, long seed, int budget) {
        Dataset train = ToyTexts.parity(32);
        Adapter a = prefix(seed);
        CausalLm model = a.model().as(CausalLm.class);
        double best = Double.POSITIVE_INFINITY;
        List<Example> held = ToyTexts.parity(96).stream(5, 0, 96);
        double before = accuracy(model, held);
        try (Descent d = new BlackBox(20, 20, 1, 2).start(TrainOptions.DEFAULTS.withSeed(seed), budget / 21)) {
            for (int step = 0; step < budget / 21 * (3 - searched); step++) {
                // Shallow: only the turns of the first layer are taken.
                if (searched == 1 && step % 2 == 1) {
                    d.step(input(a, (m, b, p) -> Var.constant(Tensor.full(m.backend(), m.computeType(), 1)), train, step));
                    continue;
                }
                best = Math.min(best, d.step(input(a, Objective.CAUSAL_LM, train, step)).loss());
            }
        }
        return new double[] {best, accuracy(model, held) - before};
    }

    private static double accuracy(CausalLm model, List<Example> texts) {
        Pass pass = model.seams().inference();
        try (Scope _ = Scope.open()) {
            return ToyTexts.accuracy(model, texts, pass);
        }
    }

    /** A budget of 2000 forward passes: both layers in turn, against all of it on the first layer. */
    @Test
    void deepPromptsLearnMoreThanShallowOnes() {
        int wins = 0;
        double gain = 0;
        for (long seed = 0; seed < 5; seed++) {
            double[] deep = trained(2, seed, 2000);
            double[] shallow = trained(1, seed, 2000);
            wins += deep[0] < shallow[0] ? 1 : 0;
            gain += deep[1] / 5;
        }
        assertThat(wins).isGreaterThanOrEqualTo(4);
        assertThat(gain).as("accuracy won on 96 texts, the 32 that it learnt from among them").isGreaterThanOrEqualTo(0.08);
    }

    @Test
    void theDeviationIsThatOfWhatIsNotFarOut() {
        double[] v = new double[2000];
        Arrays.setAll(v, i -> 2 + 0.5 * Philox.normal(3, 0, i));
        assertThat(BlackBox.clippedDeviation(v)).isCloseTo(0.5, within(0.03));
        v[7] = 1000;
        assertThat(BlackBox.clippedDeviation(v)).isLessThan(1);
        assertThat(BlackBox.clippedDeviation(new double[] {3, 3, 3})).isEqualTo(1);
    }

    /** A classifier's head trains along, whose bias has as many columns as there are classes. */
    @Test
    void whatCannotBeCutIsABlockWhole() {
        Adapter a = prefix(1);
        String prefix = a.trainables().firstEntry().getKey();
        SequencedMap<String, Var> all = new LinkedHashMap<>(a.trainables());
        Var bias = Var.parameter(Tensor.zeros(Backends.reference(), DType.F64, 3));
        all.put("bias", bias);
        Objective far = (_, _, _) -> bias.add(-100).square().sum();
        StepInput input = input(a, far, ToyTexts.parity(4), 0);
        try (Descent d = new BlackBox(2, 8, 1, 2).start(TrainOptions.DEFAULTS, 3)) {
            for (int step = 0; step < 3; step++) {
                d.step(new StepInput(a.model(), far, input.batches(), all, 1, step));
            }
            assertThat(d.state().keySet()).containsExactlyInAnyOrder("cma.start." + prefix + ".0", "cma.start." + prefix + ".1", "cma.start.bias.0",
                    "cma.losses." + prefix + ".0", "cma.losses." + prefix + ".1", "cma.losses.bias.0");
        }
        assertThat(bias.tensor().toDoubleArray()).as("the third step searched it").doesNotContain(0);
    }

    @Test
    void senselessSearchesAreRefused() {
        assertThatThrownBy(() -> new BlackBox(1, 20, 1, 1)).hasMessageContaining("1 dimensions");
        assertThatThrownBy(() -> new BlackBox(5, 3, 1, 1)).hasMessageContaining("3 candidates");
        try (Descent d = new BlackBox(5, 4, 1, 7).start(TrainOptions.DEFAULTS, 3)) {
            assertThatThrownBy(() -> d.step(input(prefix(1), Objective.CAUSAL_LM, ToyTexts.parity(4), 0))).hasMessageContaining("into 7 parts");
            assertThatThrownBy(() -> d.restore(Map.of(), 3)).hasMessageContaining("without gradients");
        }
    }
}
