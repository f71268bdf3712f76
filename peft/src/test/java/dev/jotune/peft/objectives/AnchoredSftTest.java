package dev.jotune.peft.objectives;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.FullTuning;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.steps.ToyTexts;
import dev.jotune.peft.train.Batch;
import dev.jotune.peft.train.Dataset;
import dev.jotune.peft.train.Example;
import dev.jotune.peft.train.Objective;
import dev.jotune.peft.train.TrainListener;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Fine-tuning anchored to where it began (arXiv 2509.23753). */
class AnchoredSftTest {
    private static final AnchoredSft DFT = AnchoredSft.of(0);
    private static final AnchoredSft SFT = new AnchoredSft(0, false, List.of());

    private final CausalLm model = TinyDecoders.make("llama", true);
    private final Adapter adapter = Adapters.create(model, "default", Lora.DEFAULTS, 1);
    private final Batch batch = Batch.of(ToyTexts.counting(3, 7).stream(1, 0, 3), model.backend(), false);

    private void stir() {
        adapter.trainables().values().forEach(v -> {
            double[] values = v.tensor().toDoubleArray();
            Arrays.setAll(values, i -> values[i] + 0.1 * Math.sin(i + 1));
            v.tensor().copyFrom(Tensor.of(v.backend(), v.dtype(), values, v.shape()));
        });
    }

    private double[] slope(Var loss) {
        return Gradients.of(loss, List.copyOf(adapter.trainables().values())).stream()
                .flatMapToDouble(t -> Arrays.stream(t.toDoubleArray())).toArray();
    }

    private Var loss(Objective o) {
        return o.loss(model, batch, model.seams().inference());
    }

    @Test
    void withoutAnchorTheGradientIsThatOfMinusTheMeanProbability() {
        stir();
        double[] got = slope(loss(DFT));
        Pass pass = model.seams().inference();
        Labelled tokens = Labelled.of(model, batch.examples().stream().map(List::of).toList(), false, pass);
        double[] want = slope(tokens.logProbabilities(model, pass).exp().mean().neg());
        assertThat(Arrays.stream(want).map(Math::abs).max().orElseThrow()).isGreaterThan(1e-4);
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).isCloseTo(want[i], within(1e-6 * Math.max(1e-3, Math.abs(want[i]))));
        }
    }

    @Test
    void withoutBothItIsCrossEntropy() {
        stir();
        assertThat(loss(SFT).item()).isCloseTo(loss(Objective.CAUSAL_LM).item(), within(1e-12));
        double[] got = slope(loss(SFT));
        double[] want = slope(loss(Objective.CAUSAL_LM));
        for (int i = 0; i < want.length; i++) {
            assertThat(got[i]).isCloseTo(want[i], within(1e-12));
        }
        assertThat(SFT.weight(batch)).isEqualTo(Objective.CAUSAL_LM.weight(batch));
    }

    @Test
    void atTheStartTheAnchorHoldsNothing() {
        AnchoredSft anchored = AnchoredSft.of(10);
        assertThat(loss(anchored).item() - loss(DFT).item()).isCloseTo(0, within(1e-7));
        double[] with = slope(loss(anchored));
        double[] without = slope(loss(DFT));
        for (int i = 0; i < with.length; i++) {
            assertThat(with[i]).isCloseTo(without[i], within(1e-12));
        }
        stir();
        assertThat(loss(anchored).item() - loss(DFT).item()).isGreaterThan(1e-3);
    }

    @Test
    void theReferenceIsBitForBitAModelThatWasNeverTouched() {
        stir();
        CausalLm frozen = TinyDecoders.make("llama", true);
        double[] toggled = logits(model, Preference.reference(model, List.of()));
        assertThat(toggled).isEqualTo(logits(frozen, frozen.seams().inference()));
        assertThat(toggled).isNotEqualTo(logits(model, model.seams().inference()));
        assertThat(logits(model, Preference.reference(model, List.of("default")))).isEqualTo(logits(model, model.seams().inference()));
    }

    private double[] logits(CausalLm lm, Pass pass) {
        return Recording.off(() -> lm.logits(lm.forward(batch.input(), pass, Optional.empty()).text(), pass)).tensor().toDoubleArray();
    }

    /** A fifth of the answers is wrong: anchored it stays near the base, without knowing less than cross-entropy. */
    @Test
    void onNoisyLabelsItStaysNearTheBaseAndKnowsAsMuch() {
        Dataset clean = ToyTexts.parity(40);
        List<Example> noisy = new ArrayList<>();
        for (int i = 0; i < clean.size(); i++) {
            Example e = clean.get(i);
            noisy.add(i % 5 == 0 ? answered(e, 3 - e.ids()[3]) : e);
        }
        double[] sft = trainedAndMeasured(SFT, Dataset.of(noisy), clean);
        double[] dft = trainedAndMeasured(DFT, Dataset.of(noisy), clean);
        double[] asft = trainedAndMeasured(AnchoredSft.of(0.1), Dataset.of(noisy), clean);
        assertThat(asft[1]).as("divergence from the base; of DFT").isLessThanOrEqualTo(dft[1] / 2);
        assertThat(asft[0]).as("accuracy; of cross-entropy").isGreaterThanOrEqualTo(sft[0]);
    }

    private static Example answered(Example e, int answer) {
        int[] ids = e.ids().clone();
        int[] labels = e.labels().clone();
        ids[3] = answer;
        labels[3] = answer;
        return new Example(ids, labels);
    }

    private static double[] trainedAndMeasured(Objective objective, Dataset noisy, Dataset clean) {
        CausalLm lm = TinyDecoders.make("llama", false);
        Adapter a = Adapters.create(lm, "default", FullTuning.DEFAULTS, 1);
        // Fine-tuning begins with a model that knows the task a little.
        Trainer.run(a, clean, TrainOptions.DEFAULTS.withMaxSteps(20).withBatchSize(20).withLearningRate(3e-3));
        a.merge();
        Adapter tuned = Adapters.create(lm, "tuned", FullTuning.DEFAULTS, 1);
        TrainOptions options = TrainOptions.DEFAULTS.withMaxSteps(60).withBatchSize(20).withLearningRate(1e-2);
        Trainer.run(tuned, noisy, options, TrainingStep.of(objective), Optional.empty(), false, TrainListener.NONE);
        List<Example> all = clean.stream(1, 0, clean.size());
        try (Scope _ = Scope.open()) {
            Batch b = Batch.of(all, lm.backend(), false);
            Pass pass = lm.seams().inference();
            double anchored = Recording.off(() -> AnchoredSft.of(1).loss(lm, b, pass).item());
            double bare = Recording.off(() -> DFT.loss(lm, b, pass).item());
            return new double[] {ToyTexts.accuracy(lm, all, pass), anchored - bare};
        }
    }

    @Test
    void aNegativeAnchorIsRefused() {
        assertThatThrownBy(() -> AnchoredSft.of(-0.1)).hasMessageContaining("lambda is -0.1");
        assertThatThrownBy(() -> AnchoredSft.of(Double.NaN)).hasMessageContaining("lambda is NaN");
    }
}
