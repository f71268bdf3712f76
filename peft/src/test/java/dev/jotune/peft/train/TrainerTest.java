package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.optim.GradientTransforms;
import dev.jotune.autograd.optim.TrainableSelector;
import dev.jotune.models.CausalLm;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the trainer promises: sums that do not depend on how they are cut up, and runs that lose nothing. */
class TrainerTest {
    private static final TrainOptions OPTIONS = TrainOptions.DEFAULTS.withLearningRate(0.02).withMaxSteps(8)
            .withBatchSize(2).withGradientAccumulation(2).withWarmupSteps(2).withSaveEvery(3);

    @TempDir
    private Path folder;

    private static Adapter adapter(String method) {
        return adapter(method, TinyModel.make(Backends.cpu(), DType.F32));
    }

    private static Adapter adapter(String method, CausalLm model) {
        return Adapters.create(model, "default", TinyModel.method(method), 1);
    }

    private TrainReport train(Adapter a, TrainOptions o, Path into, boolean resume, TrainListener l) {
        return Trainer.run(a, TinyModel.texts(7), o, Optional.of(into), resume, l);
    }

    private static Map<String, List<Byte>> files(Path run) throws IOException {
        Map<String, List<Byte>> out = new LinkedHashMap<>();
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors")) {
            List<Byte> bytes = new ArrayList<>();
            for (byte b : Files.readAllBytes(run.resolve(name))) {
                bytes.add(b);
            }
            out.put(name, bytes);
        }
        return out;
    }

    /** Ends a run as an interrupt would: after a step that was not saved. */
    private static final class Stopped extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    private static TrainListener stopAfter(long step) {
        return r -> {
            if (r.step() == step) {
                throw new Stopped();
            }
        };
    }

    @ParameterizedTest
    @ValueSource(strings = {"lora", "prefix", "prefix-mlp", "prompt", "adalora", "dora", "shira"})
    void aRunThatWasStoppedTwiceEndsAsOneThatWasNot(String method) throws IOException {
        TrainReport whole = train(adapter(method), OPTIONS, folder.resolve("whole"), false, TrainListener.NONE);
        Path run = folder.resolve("stopped");
        for (long stop : new long[] {2, 5}) {
            assertThatThrownBy(() -> train(adapter(method), OPTIONS, run, true, stopAfter(stop)))
                    .isInstanceOf(Stopped.class);
        }
        List<Long> steps = new ArrayList<>();
        TrainReport rest = train(adapter(method), OPTIONS, run, true, r -> steps.add(r.step()));
        assertThat(steps).containsExactly(4L, 5L, 6L, 7L, 8L);
        assertThat(rest.resumedAt()).isEqualTo(3);
        assertThat(rest.losses()).isEqualTo(whole.losses()).hasSize(8);
        assertThat(rest.trainedTokens()).isEqualTo(whole.trainedTokens());
        assertThat(files(run)).isEqualTo(files(folder.resolve("whole")));
    }

    @Test
    void theSeedFixesTheRun() {
        List<Double> first = train(adapter("lora"), OPTIONS, folder.resolve("a"), false, TrainListener.NONE).losses();
        assertThat(train(adapter("lora"), OPTIONS, folder.resolve("b"), false, TrainListener.NONE).losses())
                .isEqualTo(first);
        assertThat(train(adapter("lora"), OPTIONS.withSeed(2), folder.resolve("c"), false, TrainListener.NONE).losses())
                .isNotEqualTo(first);
    }

    @ParameterizedTest
    @ValueSource(strings = {"prefix", "prompt"})
    void accumulatedBatchesEqualOneLargeBatch(String method) {
        List<TrainReport> reports = new ArrayList<>();
        List<double[]> ends = new ArrayList<>();
        for (int accumulation : new int[] {1, 2, 4}) {
            Adapter a = adapter(method, TinyModel.make(Backends.reference(), DType.F64));
            TrainOptions o = OPTIONS.withMaxSteps(4).withBatchSize(4 / accumulation)
                    .withGradientAccumulation(accumulation);
            reports.add(Trainer.run(a, TinyModel.texts(7), o, Optional.empty(), false, TrainListener.NONE));
            ends.add(a.trainables().firstEntry().getValue().tensor().toDoubleArray());
        }
        for (int i = 1; i < 3; i++) {
            assertThat(ends.get(i)).containsExactly(ends.getFirst(), within(1e-9));
            for (int s = 0; s < 4; s++) {
                assertThat(reports.get(i).losses().get(s)).isCloseTo(reports.getFirst().losses().get(s), within(1e-11));
            }
            assertThat(reports.get(i).trainedTokens()).isEqualTo(reports.getFirst().trainedTokens());
        }
    }

    @Test
    void gradientCheckpointingChangesNothing() {
        Adapter plain = adapter("lora");
        Adapter recomputed = adapter("lora");
        List<Double> losses = train(plain, OPTIONS, folder.resolve("a"), false, TrainListener.NONE).losses();
        assertThat(train(recomputed, OPTIONS.withGradientCheckpointing(true), folder.resolve("b"), false,
                TrainListener.NONE)
                .losses()).isEqualTo(losses);
    }

    @Test
    void itLearnsATextByHeart() {
        Adapter a = adapter("lora");
        Dataset one = Dataset.of(List.of(TinyModel.texts(4).get(2)));
        TrainReport r = Trainer.run(a, one, OPTIONS.withMaxSteps(40).withLearningRate(0.05), Optional.empty(), false,
                TrainListener.NONE);
        assertThat(r.lastLoss()).isLessThan(r.losses().getFirst() / 2);
        assertThat(r.peakBytes()).isPositive();
        assertThat(r.tokensPerSecond()).isPositive();
    }

    @Test
    void aLossThatIsNoNumberStopsBeforeAnythingIsHarmed() throws IOException {
        Adapter a = adapter("lora");
        long[] calls = {0};
        // After the one that warms up, two batches a step: the 10th is in step 5, after the checkpoint of step 3.
        Objective broken = (model, batch, pass) -> {
            calls[0]++;
            return Objective.CAUSAL_LM.loss(model, batch, pass).mul(calls[0] == 10 ? Double.NaN : 1);
        };
        assertThatThrownBy(() -> Trainer.run(a, TinyModel.texts(7), OPTIONS, TrainingStep.of("broken", broken),
                Optional.of(folder), false, TrainListener.NONE)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("the loss is NaN at step 5 of 8, at learning rate 0.01333")
                .hasMessageContaining("Lower the learning rate").hasMessageContaining("checkpoint of step 3");
        assertThat(folder.resolve("checkpoints/run-000000000003.safetensors")).exists();
        assertThat(folder.resolve("adapter_model.safetensors")).doesNotExist();
        a.trainables().values().forEach(v -> assertThat(v.tensor().toDoubleArray()).doesNotContain(Double.NaN));
    }

    @Test
    void gradientsThatAreNoNumbersDoNotReachTheParameters() {
        for (double maxNorm : new double[] {0, 1}) {
            Adapter a = adapter("prompt");
            double[] before = a.trainables().firstEntry().getValue().tensor().toDoubleArray();
            TrainingStep step = new TrainingStep("blown up", Objective.CAUSAL_LM, TrainableSelector.all(),
                    Optional.of(GradientTransforms.scale(Double.POSITIVE_INFINITY)));
            assertThatThrownBy(() -> Trainer.run(a, TinyModel.texts(3), OPTIONS.withMaxGradNorm(maxNorm), step,
                    Optional.empty(), false, TrainListener.NONE)).isInstanceOf(AdapterException.class)
                    .hasMessageContaining("the gradients' norm is").hasMessageContaining("step 1 of 8");
            assertThat(a.trainables().firstEntry().getValue().tensor().toDoubleArray()).isEqualTo(before);
        }
    }

    @Test
    void onlyWhatIsSelectedTrains() {
        Adapter a = adapter("lora");
        Map<String, double[]> before = new LinkedHashMap<>();
        a.trainables().forEach((k, v) -> before.put(k, v.tensor().toDoubleArray()));
        TrainingStep step = new TrainingStep("B", Objective.CAUSAL_LM, TrainableSelector.matching("lora_B"),
                Optional.empty());
        Trainer.run(a, TinyModel.texts(5), OPTIONS, step, Optional.empty(), false, TrainListener.NONE);
        a.trainables().forEach((k, v) -> assertThat(java.util.Arrays.equals(v.tensor().toDoubleArray(), before.get(k)))
                .as(k).isEqualTo(k.contains("lora_A")));
    }

    @Test
    void aRunGoesOnOnlyAsItWasBegun() {
        train(adapter("lora"), OPTIONS, folder, false, TrainListener.NONE);
        assertThatThrownBy(() -> train(adapter("lora"), OPTIONS.withLearningRate(0.5), folder, true,
                TrainListener.NONE))
                .isInstanceOf(AdapterException.class).hasMessageContaining("learningRate was 0.02, now 0.5")
                .hasMessageNotContaining("method");
        assertThatThrownBy(() -> train(adapter("prompt"), OPTIONS, folder, true, TrainListener.NONE))
                .hasMessageContaining("method was").hasMessageContaining("PROMPT_TUNING")
                .hasMessageNotContaining("data was");
        assertThatThrownBy(() -> Trainer.run(adapter("lora"), TinyModel.texts(6), OPTIONS, Optional.of(folder), true,
                TrainListener.NONE)).hasMessageContaining("data was 7 examples");
        assertThatThrownBy(() -> train(adapter("lora", TinyModel.make(Backends.reference(), DType.F64)), OPTIONS,
                folder, true,
                TrainListener.NONE)).hasMessageContaining("model was llama on cpu in F32");
        // How often it is saved has no influence on the result.
        assertThat(train(adapter("lora"), OPTIONS.withSaveEvery(1), folder, true, TrainListener.NONE).resumedAt())
                .isEqualTo(8);
    }

    @Test
    void aFreshRunDoesNotOverwriteAnother() {
        train(adapter("lora"), OPTIONS, folder, false, TrainListener.NONE);
        assertThatThrownBy(() -> train(adapter("lora"), OPTIONS, folder, false, TrainListener.NONE))
                .isInstanceOf(AdapterException.class).hasMessageContaining("holds step 8 of an earlier run");
    }

    @Test
    void resumingNothingStartsAnewAndSaysSo() {
        TrainReport r = train(adapter("lora"), OPTIONS, folder, true, TrainListener.NONE);
        assertThat(r.notes()).singleElement().asString().contains("no checkpoint", "anew");
        assertThat(r.resumedAt()).isZero();
        assertThat(r.losses()).hasSize(8);
    }

    @Test
    void aFinishedRunThatIsResumedWritesItsAdapterAgain() throws IOException {
        TrainReport first = train(adapter("prefix"), OPTIONS, folder, false, TrainListener.NONE);
        Map<String, List<Byte>> files = files(folder);
        Files.delete(folder.resolve("adapter_model.safetensors"));
        TrainReport again = train(adapter("prefix"), OPTIONS, folder, true, stopAfter(1));
        assertThat(again.losses()).isEqualTo(first.losses());
        assertThat(files(folder)).isEqualTo(files);
    }

    @Test
    void onlyWhatIsOnTheDiskIsReportedSaved() {
        List<Long> saved = new ArrayList<>();
        train(adapter("lora"), OPTIONS, folder, false, new TrainListener() {
            @Override
            public void onStep(StepReport r) {
                assertThat(r.totalSteps()).isEqualTo(8);
                assertThat(r.gradNorm()).isPositive();
            }

            @Override
            public void onSaved(long step, Path file) {
                assertThat(file).exists();
                saved.add(step);
            }
        });
        assertThat(saved).containsExactly(3L, 6L, 8L);
    }

    @Test
    void aFolderThatCannotBeWrittenIsAnErrorThatNamesIt() throws IOException {
        Files.writeString(folder.resolve("checkpoints"), "a file where a folder should be");
        assertThatThrownBy(() -> train(adapter("lora"), OPTIONS, folder, false, TrainListener.NONE))
                .isInstanceOf(AdapterException.class).hasMessageContaining("step 3 could not be saved")
                .hasMessageContaining("checkpoints");
    }

    @Test
    void whatIsTooLongIsCutAndCounted() {
        TrainReport r = Trainer.run(adapter("prompt"), TinyModel.texts(7), OPTIONS.withMaxLength(6), Optional.empty(),
                false,
                TrainListener.NONE);
        int longer = 0;
        for (int i = 0; i < 7; i++) {
            longer += TinyModel.texts(7).get(i).length() > 6 ? 1 : 0;
        }
        assertThat(r.cutExamples()).isEqualTo(longer).isBetween(1, 6);
        assertThat(r.notes()).singleElement().asString().contains(longer + " of 7 examples were cut to 6 tokens");
        // Three virtual tokens take their share of the context.
        Dataset wide = Dataset.of(List.of(new Example(new int[40], new int[40])));
        assertThat(Trainer.run(adapter("prompt"), wide, OPTIONS, Optional.empty(), false,
                TrainListener.NONE).maxLength())
                .isEqualTo(TinyModel.CONTEXT - 3);
        assertThat(Trainer.run(adapter("prefix"), wide, OPTIONS, Optional.empty(), false,
                TrainListener.NONE).maxLength())
                .isEqualTo(TinyModel.CONTEXT - 3);
        assertThat(Trainer.run(adapter("lora"), wide, OPTIONS, Optional.empty(), false, TrainListener.NONE).maxLength())
                .isEqualTo(TinyModel.CONTEXT);
    }

    @Test
    void dataWithNothingToLearnAreRefused() {
        assertThatThrownBy(() -> Trainer.run(adapter("lora"), Dataset.of(List.of()), OPTIONS, Optional.empty(), false,
                TrainListener.NONE)).isInstanceOf(AdapterException.class).hasMessageContaining("no example");
        Dataset silent = Dataset.of(List.of(new Example(new int[] {1, 2, 3}, new int[] {-100, -100, -100})));
        assertThatThrownBy(() -> Trainer.run(adapter("lora"), silent, OPTIONS, Optional.empty(), false,
                TrainListener.NONE))
                .isInstanceOf(AdapterException.class)
                .hasMessageContaining("none of the 1 examples has a token to learn");
        Dataset late = Dataset.of(List.of(new Example(new int[] {1, 2, 3}, new int[] {-100, -100, 3})));
        assertThatThrownBy(() -> Trainer.run(adapter("lora"), late, OPTIONS.withMaxLength(2), Optional.empty(), false,
                TrainListener.NONE)).hasMessageContaining("after 1 were cut to 2 tokens");
        Dataset foreign = Dataset.of(List.of(
                new Example(new int[] {1, TinyModel.VOCABULARY, 2}, new int[] {-100, -100, 1})));
        assertThatThrownBy(() -> Trainer.run(adapter("lora"), foreign, OPTIONS, Optional.empty(), false,
                TrainListener.NONE))
                .hasMessageContaining("token id 37").hasMessageContaining("vocabulary has 37");
    }

    @Test
    void examplesWithoutLabelsDoNotDisturbTheOthers() {
        Example silent = new Example(new int[] {1, 2, 3}, new int[] {-100, -100, -100});
        Dataset mixed = Dataset.of(List.of(silent, TinyModel.texts(1).get(0), silent, silent));
        TrainReport r = Trainer.run(adapter("lora"), mixed, OPTIONS.withBatchSize(1), Optional.empty(), false,
                TrainListener.NONE);
        assertThat(r.losses()).allMatch(Double::isFinite).anyMatch(l -> l == 0).anyMatch(l -> l > 1);
    }

    @Test
    void anAdapterThatIsOffIsNotTrained() {
        Adapter a = adapter("lora");
        a.model().seams().activate();
        assertThatThrownBy(() -> train(a, OPTIONS, folder, false, TrainListener.NONE))
                .isInstanceOf(AdapterException.class)
                .hasMessageContaining("'default' is not active");
    }

    @Test
    void optionsOutOfRangeAreRefused() {
        assertThatThrownBy(() -> OPTIONS.withLearningRate(Double.NaN)).hasMessageContaining("learning rate is NaN");
        assertThatThrownBy(() -> OPTIONS.withBatchSize(0)).hasMessageContaining("batch size is 0");
        assertThatThrownBy(() -> OPTIONS.withEpochs(0)).hasMessageContaining("epochs is 0");
        assertThatThrownBy(() -> OPTIONS.withOptimizer("adamm")).hasMessageContaining("adamm");
        assertThatThrownBy(() -> OPTIONS.withSchedule("liner")).hasMessageContaining("liner");
        assertThat(OPTIONS.withEpochs(1.5).totalSteps(10)).isEqualTo(4);
    }
}
