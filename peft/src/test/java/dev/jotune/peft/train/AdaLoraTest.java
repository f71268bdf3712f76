package dev.jotune.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Methods;
import dev.jotune.peft.StepHook;
import dev.jotune.peft.methods.AdaLora;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** AdaLoRA under the trainer: the budget falls as the paper says, what is saved is what is left. */
class AdaLoraTest {
    private static final int STEPS = 12;
    private static final int TARGETS = 4;

    @TempDir
    Path folder;

    private static Adapter adapter(CausalLm model, Map<String, Object> more) {
        Map<String, Object> fields = new HashMap<>(Map.of("init_r", 4, "target_r", 1, "tinit", 2, "tfinal", 3, "deltaT", 2,
                "total_step", STEPS));
        fields.putAll(more);
        return Adapters.create(model, "a", Methods.configure(Methods.named("adalora"), fields), 3);
    }

    private static TrainOptions options() {
        return TrainOptions.DEFAULTS.withMaxSteps(STEPS).withBatchSize(2).withLearningRate(0.01);
    }

    private static int kept(Adapter a) {
        return a.stepHook().orElseThrow().state().entrySet().stream().filter(e -> e.getKey().startsWith("kept."))
                .mapToInt(e -> (int) Arrays.stream(e.getValue().toDoubleArray()).sum()).sum();
    }

    private static double[] logits(CausalLm model) {
        Tensor ids = Tensor.of(model.backend(), new long[] {3, 1, 4, 1, 5, 9}, 2, 3);
        var pass = model.seams().inference();
        return Recording.off(() -> model.logits(model.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass).tensor()
                .toDoubleArray());
    }

    @Test
    void theBudgetFallsWithTheThirdPowerAndRanksGoWithIt() {
        CausalLm model = TinyModel.make(Backends.reference(), DType.F64);
        Adapter a = adapter(model, Map.of());
        List<Integer> ranks = new ArrayList<>();
        Trainer.run(a, TinyModel.texts(7), options(), Optional.empty(), false, r -> ranks.add(kept(a)));
        List<Integer> want = new ArrayList<>();
        int now = 0;
        for (int step = 1; step <= STEPS; step++) {
            boolean decides = step > 2 && step < 9 && step % 2 == 0 || step == 9;
            now = decides ? (int) (3 * TARGETS * Math.pow(1 - (step - 2) / 7.0, 3)) + TARGETS : now;
            want.add(now);
        }
        assertThat(ranks).isEqualTo(want).endsWith(TARGETS);
        // Taken away means taken away: what is saved has the ranks that are left, and gives the same.
        double[] masked = logits(model);
        a.save(folder);
        assertThat(((AdaLora) a.method()).rankPattern().values().stream().flatMap(List::stream).filter(k -> k).count()).isEqualTo(TARGETS);
        CausalLm other = TinyModel.make(Backends.reference(), DType.F64);
        Adapter loaded = Adapters.load(other, "b", folder);
        assertThat(loaded.state().entrySet().stream().filter(e -> e.getKey().endsWith("lora_E")).mapToLong(e -> e.getValue().numel()).sum())
                .isEqualTo(TARGETS);
        assertThat(logits(other)).containsExactly(masked, within(1e-6));
        assertThat(loaded.method()).isEqualTo(a.method());
    }

    @Test
    void whatIsLeftStaysTrainable() {
        CausalLm model = TinyModel.make(Backends.reference(), DType.F64);
        Adapter a = adapter(model, Map.of());
        Trainer.run(a, TinyModel.texts(7), options(), Optional.empty(), false, TrainListener.NONE);
        a.save(folder);
        CausalLm other = TinyModel.make(Backends.reference(), DType.F64);
        Adapter loaded = Adapters.load(other, "b", folder);
        List<Double> losses = Trainer.run(loaded, TinyModel.texts(7), options().withMaxSteps(20), Optional.empty(), false, TrainListener.NONE)
                .losses();
        assertThat(losses.getLast()).isLessThan(losses.getFirst());
        assertThat(loaded.trainableCount()).isLessThan(a.trainableCount());
    }

    @Test
    void anotherRunOfTheSameAdapterForgetsWhatTheFirstTookAway() {
        CausalLm model = TinyModel.make(Backends.reference(), DType.F64);
        Adapter a = adapter(model, Map.of());
        Trainer.run(a, TinyModel.texts(7), options(), Optional.empty(), false, TrainListener.NONE);
        assertThat(kept(a)).isEqualTo(TARGETS);
        List<Integer> ranks = new ArrayList<>();
        Trainer.run(a, TinyModel.texts(7), options(), Optional.empty(), false, r -> ranks.add(kept(a)));
        assertThat(ranks).startsWith(0, 0, 0).endsWith(TARGETS);
    }

    @Test
    void aStoppedRunGoesOnWithTheSameAdapter() {
        List<List<Double>> losses = new ArrayList<>();
        for (int stop : new int[] {-1, 7}) {
            Adapter a = adapter(TinyModel.make(Backends.reference(), DType.F64), Map.of());
            Optional<Path> run = Optional.of(folder.resolve("run" + stop));
            if (stop > 0) {
                assertThatThrownBy(() -> Trainer.run(a, TinyModel.texts(7), options().withSaveEvery(2), run, false, r -> {
                    if (r.step() == stop) {
                        throw new IllegalStateException("stopped");
                    }
                })).hasMessage("stopped");
                assertThat(((AdaLora) a.method()).rankPattern()).isNotEmpty();
            }
            losses.add(Trainer.run(a, TinyModel.texts(7), options().withSaveEvery(2), run, stop > 0, TrainListener.NONE).losses());
        }
        assertThat(losses.get(1)).isEqualTo(losses.get(0));
    }

    /** PEFT writes such files, which then never lose a rank. */
    @Test
    void aTargetAboveTheStartIsRefusedOfNewAdaptersAlone() {
        CausalLm model = TinyModel.make(Backends.reference(), DType.F64);
        Adapter a = adapter(model, Map.of());
        a.detach();
        AdaLora above = (AdaLora) Methods.configure(Methods.named("adalora"), Map.of("init_r", 4, "target_r", 5, "total_step", 9));
        assertThatThrownBy(() -> Adapters.create(model, "b", above, 1)).isInstanceOf(AdapterException.class).hasMessageContaining("target_r is 5");
        Adapter loaded = Adapters.restore(model, "b", above, a.state());
        Trainer.run(loaded, TinyModel.texts(7), options(), Optional.empty(), false, TrainListener.NONE);
        assertThat(kept(loaded)).isEqualTo(4 * TARGETS);
    }

    /** Equation 4, by the numbers: the loss that the trainer reports has it, whatever the objective. */
    @Test
    void theRegulariserIsChargedInEveryStep() {
        double[] first = new double[2];
        for (int i = 0; i < 2; i++) {
            Adapter a = adapter(TinyModel.make(Backends.reference(), DType.F64), Map.of("orth_reg_weight", 0.7 * i));
            assertThat(a.stepHook().flatMap(StepHook::penalty).isPresent()).isEqualTo(i > 0);
            double want = 0;
            for (Map.Entry<String, Var> e : a.trainables().entrySet()) {
                if (!e.getKey().endsWith("lora_E")) {
                    want += fromUnit(e.getValue().tensor(), e.getKey().endsWith("lora_A")) * 0.7 * i / (2 * TARGETS);
                }
            }
            first[i] = Trainer.run(a, TinyModel.texts(7), options().withGradientAccumulation(2), Optional.empty(), false, TrainListener.NONE)
                    .losses().getFirst() - want;
        }
        assertThat(first[1]).isCloseTo(first[0], within(1e-9));
    }

    /** {@code |P P^T - 1|} of rows, or of columns. */
    private static double fromUnit(Tensor t, boolean rows) {
        Tensor p = rows ? t : t.transpose(0, 1);
        int r = (int) p.size(0);
        int n = (int) p.size(1);
        double[] v = p.contiguous().toDoubleArray();
        double sum = 0;
        for (int i = 0; i < r; i++) {
            for (int j = 0; j < r; j++) {
                double dot = i == j ? -1 : 0;
                for (int k = 0; k < n; k++) {
                    dot += v[i * n + k] * v[j * n + k];
                }
                sum += dot * dot;
            }
        }
        return Math.sqrt(sum);
    }
}
