package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.models.CausalLm;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Runs whose steps the caller takes. */
class StepwiseTest {
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(0.02).withMaxSteps(4).withBatchSize(2);

    private static Adapter adapter(CausalLm model, String name, String method) {
        return Adapters.create(model, name, TinyModel.method(method), 1);
    }

    @Test
    void stepsInTurnAreThoseOfWholeRuns() {
        Dataset data = TinyModel.texts(7);
        List<Double> lora = Trainer.run(adapter(TinyModel.make(Backends.cpu(), DType.F32), "default", "lora"), data, OPTIONS).losses();
        List<Double> prefix = Trainer.run(adapter(TinyModel.make(Backends.cpu(), DType.F32), "default", "prefix"), data, OPTIONS).losses();

        CausalLm model = TinyModel.make(Backends.cpu(), DType.F32);
        Adapter a = adapter(model, "a", "lora");
        model.seams().activate("a");
        List<Double> first = new ArrayList<>();
        List<Double> second = new ArrayList<>();
        try (Stepwise one = new Stepwise(a, data, OPTIONS, TrainingStep.causalLm())) {
            Adapter b = adapter(model, "b", "prefix");
            model.seams().activate("b");
            try (Stepwise other = new Stepwise(b, data, OPTIONS, TrainingStep.causalLm())) {
                for (int i = 0; i < 4; i++) {
                    model.seams().activate("a");
                    first.add(one.step());
                    model.seams().activate("b");
                    second.add(other.step());
                }
            }
            assertThatThrownBy(one::step).isInstanceOf(IllegalStateException.class).hasMessageContaining("all its 4 steps");
        }
        assertThat(first).isEqualTo(lora);
        assertThat(second).isEqualTo(prefix);
    }
}
