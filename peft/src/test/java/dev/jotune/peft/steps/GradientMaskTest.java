package dev.jotune.peft.steps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.optim.GradientTransform;
import dev.jotune.autograd.optim.Trainable;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.objectives.TinyDecoders;
import dev.jotune.peft.train.TrainListener;
import dev.jotune.peft.train.TrainOptions;
import dev.jotune.peft.train.Trainer;
import dev.jotune.peft.train.TrainingStep;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Gradients thinned to their largest elements (arXiv 2406.15330). */
class GradientMaskTest {
    private static double[] noise(int n, boolean ties) {
        double[] out = new double[n];
        Arrays.setAll(out, i -> ties ? Philox.nextInt(1, 0, i, 5) - 2 : (float) Philox.normal(1, 0, i));
        return out;
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e-9, 0.1, 0.2, 0.5, 0.6, 0.999, 1})
    void exactlyThatShareOfEachTensorStaysAndNoneOfThemIsSmallerThanWhatGoes(double keep) {
        for (int n : new int[] {1, 2, 7, 64, 1000}) {
            for (boolean ties : new boolean[] {false, true}) {
                double[] g = noise(n, ties);
                if (ties) {
                    Arrays.setAll(g, i -> g[i] == 0 ? 1 : g[i]);
                }
                Tensor t = Tensor.of(Backends.cpu(), DType.F32, g, n);
                Trainable in = new Trainable("w", Tensor.zeros(Backends.cpu(), DType.F32, n), t);
                double[] out = new GradientMask(keep).apply(0, List.of(in)).getFirst().gradient().toDoubleArray();
                int stays = (int) Math.ceil(keep * n);
                assertThat(Arrays.stream(out).filter(v -> v != 0).count()).isEqualTo(stays);
                double least = Double.POSITIVE_INFINITY;
                double most = 0;
                for (int i = 0; i < n; i++) {
                    assertThat(out[i] == 0 || out[i] == g[i]).isTrue();
                    least = out[i] != 0 ? Math.min(least, Math.abs(g[i])) : least;
                    most = out[i] == 0 ? Math.max(most, Math.abs(g[i])) : most;
                }
                assertThat(least).isGreaterThanOrEqualTo(most);
                assertThat(t.toDoubleArray()).as("the gradient that was given").isEqualTo(g);
            }
        }
    }

    @Test
    void theThresholdIsTheOneThatSortingFinds() {
        for (int n = 1; n < 200; n++) {
            for (boolean ties : new boolean[] {false, true}) {
                double[] sorted = noise(n, ties);
                Arrays.sort(sorted);
                for (int k : new int[] {1, (n + 1) / 2, n}) {
                    assertThat(GradientMask.threshold(noise(n, ties), k)).isEqualTo(sorted[n - k]);
                }
            }
        }
        assertThat(GradientMask.threshold(new double[] {1, Double.NaN, 2}, 2)).isEqualTo(2);
    }

    private static Adapter trained(TrainingStep step) {
        Adapter a = Adapters.create(TinyDecoders.make("llama", false), "default", Lora.DEFAULTS, 1);
        TrainOptions options = TrainOptions.DEFAULTS.withMaxSteps(8).withBatchSize(2).withGradientAccumulation(2).withLearningRate(1e-2);
        Trainer.run(a, ToyTexts.counting(12, 12), options, step, Optional.empty(), false, TrainListener.NONE);
        return a;
    }

    @Test
    void keepingAllIsPlainTraining() {
        Adapter plain = trained(TrainingStep.causalLm());
        Adapter all = trained(TrainingStep.causalLm().transform(new GradientMask(1)));
        Adapter some = trained(TrainingStep.causalLm().transform(new GradientMask(0.2)));
        boolean differs = false;
        for (String name : plain.trainables().keySet()) {
            Var want = plain.trainables().get(name);
            assertThat(all.trainables().get(name).tensor().toFloatArray()).as(name).isEqualTo(want.tensor().toFloatArray());
            differs |= !Arrays.equals(some.trainables().get(name).tensor().toFloatArray(), want.tensor().toFloatArray());
        }
        assertThat(differs).isTrue();
    }

    @Test
    void aGradientThatIsNotANumberStaysForOthersToSee() {
        Tensor bad = Tensor.of(Backends.cpu(), DType.F32, new double[] {1, Double.NaN, 3, 4}, 4);
        Trainable in = new Trainable("w", Tensor.zeros(Backends.cpu(), DType.F32, 4), bad);
        GradientTransform mask = new GradientMask(0.5);
        assertThat(mask.apply(0, List.of(in)).getFirst().gradient().toDoubleArray()).contains(Double.NaN);
    }

    @Test
    void sharesThatAreNoneAreRefused() {
        for (double keep : new double[] {0, -0.1, 1.1, Double.NaN}) {
            assertThatThrownBy(() -> new GradientMask(keep)).hasMessageContaining("share of " + keep);
        }
    }
}
