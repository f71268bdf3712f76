package dev.jotune.peft.steps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.FullTuning;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.objectives.AnchoredSft;
import dev.jotune.peft.objectives.Grpo;
import dev.jotune.peft.objectives.PolicyLoss.Aggregate;
import dev.jotune.peft.objectives.Preference;
import dev.jotune.peft.objectives.Reward;
import dev.jotune.peft.objectives.TinyDecoders;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.StepReport;
import dev.jotune.peft.train.TrainListener;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every kind of step, stopped between two checkpoints and resumed: the losses and files of a run that was not. */
class StoppedRunTest {
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(5e-3).withMaxSteps(9).withBatchSize(2).withSaveEvery(2)
            .withGradientAccumulation(2);

    @TempDir
    private Path folder;

    /** What trains how. */
    enum Kind {
        DPO(() -> TrainingStep.of(Preference.dpo()), Lora.DEFAULTS),
        ASFT(() -> TrainingStep.of(AnchoredSft.of(0.1)), Lora.DEFAULTS),
        GRPO(() -> TrainingStep.of(new Grpo(Reward.Rule.CONTAINS, 3, 3, 0.04, 0.2, Aggregate.SEQUENCE,
                List.of(1))), Lora.DEFAULTS),
        MEZO(() -> TrainingStep.causalLm().descend(new Mezo(1e-3, 2)), Lora.DEFAULTS),
        LISA(() -> TrainingStep.causalLm().select(new Lisa(1, 3, 5)), FullTuning.DEFAULTS),
        MASKED(() -> TrainingStep.causalLm().transform(new GradientMask(0.3)), FullTuning.DEFAULTS),
        MASKED_DPO(() -> TrainingStep.of(Preference.dpo()).select(new Lisa(1, 2, 1)).transform(new GradientMask(0.5)), FullTuning.DEFAULTS),
        MEZO_DPO(() -> TrainingStep.of(Preference.dpo()).descend(Mezo.DEFAULTS), Lora.DEFAULTS),
        BLACK_BOX(() -> TrainingStep.causalLm().descend(new BlackBox(4, 5, 1, 3)), PrefixTuning.DEFAULTS.withTokens(2));

        private final Supplier<TrainingStep> step;
        private final TuningMethod method;

        Kind(Supplier<TrainingStep> step, TuningMethod method) {
            this.step = step;
            this.method = method;
        }
    }

    private static Dataset pairs() {
        List<Example> out = new ArrayList<>();
        Dataset texts = ToyTexts.counting(10, 9);
        for (int i = 0; i < texts.size(); i++) {
            int[] other = texts.get(i).ids().clone();
            int[] labels = texts.get(i).labels().clone();
            for (int t = 5; t < other.length; t++) {
                other[t] = (other[t] + t) % TinyDecoders.VOCABULARY;
                labels[t] = other[t];
            }
            out.add(texts.get(i).preferredTo(new Example(other, labels)));
        }
        return Dataset.of(out);
    }

    private List<Double> run(Kind kind, String name, boolean resume, int stopAfter) {
        Adapter a = Adapters.create(TinyDecoders.make("llama", 3, false), "default", kind.method, 1);
        TrainListener listener = (StepReport r) -> {
            if (r.step() == stopAfter) {
                throw new IllegalStateException("stopped");
            }
        };
        return Trainer.run(a, pairs(), OPTIONS, kind.step.get(), Optional.of(folder.resolve(name)), resume, listener).losses();
    }

    @ParameterizedTest
    @EnumSource
    void aStoppedRunGoesOnBitForBit(Kind kind) {
        List<Double> whole = run(kind, "whole", false, -1);
        assertThat(whole).hasSize(9);
        assertThatThrownBy(() -> run(kind, "stopped", false, 5)).hasMessage("stopped");
        assertThatThrownBy(() -> run(kind, "stopped", true, 7)).hasMessage("stopped");
        assertThat(run(kind, "stopped", true, -1)).isEqualTo(whole);
        assertThat(folder.resolve("stopped/adapter_model.safetensors")).hasSameBinaryContentAs(folder.resolve("whole/adapter_model.safetensors"));
    }

    @Test
    void aRunDoesNotGoOnWithAnotherKindOfStep() {
        assertThatThrownBy(() -> run(Kind.MEZO, "run", false, 5)).hasMessage("stopped");
        assertThatThrownBy(() -> run(Kind.MEZO_DPO, "run", true, -1)).isInstanceOf(AdapterException.class).hasMessageContaining("training step was");
    }
}
