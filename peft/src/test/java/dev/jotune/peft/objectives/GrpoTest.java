package dev.jotune.peft.objectives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.CausalLm;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.FullTuning;
import dev.jotune.peft.objectives.PolicyLoss.Aggregate;
import dev.jotune.peft.steps.ToyTexts;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.TrainListener;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Policies that learn from a rule (arXiv 2402.03300). */
class GrpoTest {
    private static final int IGNORED = Example.IGNORED;

    @Test
    void rulesCompareWithTheLabelledTokens() {
        Example asked = new Example(new int[] {7, 8, 4, 5}, new int[] {IGNORED, IGNORED, 4, 5});
        assertThat(Reward.Rule.EXACT_MATCH.of(asked, new int[] {4, 5})).isEqualTo(1);
        assertThat(Reward.Rule.EXACT_MATCH.of(asked, new int[] {4, 5, 6})).isZero();
        assertThat(Reward.Rule.STARTS_WITH.of(asked, new int[] {4, 5, 6})).isEqualTo(1);
        assertThat(Reward.Rule.STARTS_WITH.of(asked, new int[] {4})).isZero();
        assertThat(Reward.Rule.CONTAINS.of(asked, new int[] {1, 4, 5})).isEqualTo(1);
        assertThat(Reward.Rule.CONTAINS.of(asked, new int[] {4, 1, 5})).isZero();
    }

    /** Nothing but the rule's verdict on what the policy wrote itself teaches it the answers. */
    @Test
    void aPolicyLearnsARuleFromItsRewards() {
        CausalLm model = TinyDecoders.make("llama", false);
        Adapter adapter = Adapters.create(model, "default", FullTuning.DEFAULTS, 1);
        Dataset task = ToyTexts.parity(16);
        List<Double> means = new ArrayList<>();
        Grpo grpo = new Grpo(new Watched(means), 16, 1, 0, 0.2, Aggregate.TOKEN, List.of());
        TrainOptions options = TrainOptions.DEFAULTS.withMaxSteps(40).withBatchSize(8).withLearningRate(1e-2).withSchedule("constant");
        Trainer.run(adapter, task, options, TrainingStep.of("grpo", grpo), Optional.empty(), false, TrainListener.NONE);
        int n = means.size();
        double first = means.subList(0, n / 8).stream().mapToDouble(d -> d).average().orElseThrow();
        double last = means.subList(n - n / 8, n).stream().mapToDouble(d -> d).average().orElseThrow();
        // A batch more is answered before the first step.
        assertThat(n).isEqualTo(41 * 8 * 16);
        assertThat(last).as("mean reward of the last answers; of the first %s", first).isGreaterThan(first + 0.4);
    }

    private record Watched(List<Double> rewards) implements Reward {
        @Override
        public double of(Example asked, int[] answer) {
            double r = Rule.EXACT_MATCH.of(asked, answer);
            rewards.add(r);
            return r;
        }
    }

    @Test
    void answersFollowFromSeedAndStepAndEndWithTheEndToken() {
        CausalLm model = TinyDecoders.make("llama", false);
        Adapters.create(model, "default", FullTuning.DEFAULTS, 1);
        List<List<int[]>> runs = new ArrayList<>();
        for (long step : new long[] {3, 3, 4}) {
            List<int[]> written = new ArrayList<>();
            Reward watch = (asked, answer) -> {
                written.add(answer);
                return answer.length;
            };
            // Half of the vocabulary ends an answer, so that they differ in length.
            List<Integer> ends = IntStream.range(0, 20).boxed().toList();
            Grpo grpo = new Grpo(watch, 4, 6, 0.04, 0.2, Aggregate.SEQUENCE, ends);
            Batch batch = Batch.of(ToyTexts.parity(3).stream(1, 0, 3), model.backend(), false);
            double loss = grpo.loss(model, batch, model.seams().training(9, step)).item();
            assertThat(loss).isFinite();
            assertThat(written).hasSize(12).allSatisfy(a -> assertThat(Arrays.stream(a)).allMatch(t -> t >= 20));
            runs.add(written);
        }
        assertThat(runs.get(1)).usingRecursiveComparison().isEqualTo(runs.get(0));
        assertThat(runs.get(2).stream().map(Arrays::toString).toList()).isNotEqualTo(runs.get(0).stream().map(Arrays::toString).toList());
        assertThat(runs.get(0).stream().map(a -> a.length).distinct().count()).isGreaterThan(1);
    }

    @Test
    void senselessSettingsAndPromptsWithoutRoomAreRefused() {
        assertThatThrownBy(() -> new Grpo(Reward.Rule.CONTAINS, 1, 4, 0, 0.2, Aggregate.TOKEN, List.of())).hasMessageContaining("groups of 1");
        assertThatThrownBy(() -> new Grpo(Reward.Rule.CONTAINS, 2, 4, -1, 0.2, Aggregate.TOKEN, List.of())).hasMessageContaining("beta -1.0");
        CausalLm model = TinyDecoders.make("llama", false);
        Grpo wide = Grpo.of(Reward.Rule.CONTAINS, TinyDecoders.CONTEXT, List.of());
        assertThatThrownBy(() -> wide.loss(model, Batch.of(ToyTexts.parity(1).stream(1, 0, 1), model.backend(), false), model.seams().inference()))
                .isInstanceOf(AdapterException.class).hasMessageContaining("a prompt of 3 tokens");
    }
}
