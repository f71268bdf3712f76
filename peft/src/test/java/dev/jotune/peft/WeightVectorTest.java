package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.models.CausalLm;
import dev.jotune.models.DecoderInput;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.weights.WeightVector;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class WeightVectorTest {
    private final CausalLm model = TinyModels.GROUPED.make(Backends.reference(), DType.F64);

    /** An adapter that changes the model. */
    private Adapter adapter(String name, long seed) {
        Adapter a = Adapters.create(model, name, Lora.DEFAULTS.withRank(2, 4), seed);
        a.trainables().values().forEach(v -> {
            Tensor noise = Tensor.empty(v.backend(), v.dtype(), v.shape());
            v.backend().normal(noise, seed, 7);
            v.tensor().copyFrom(noise);
        });
        return a;
    }

    private double[] logits() {
        Tensor ids = Tensor.of(Backends.reference(), new long[] {3, 1, 4, 1, 5}, 1, 5);
        return Recording.off(() -> model.logits(
                model.forward(DecoderInput.of(ids), model.seams().inference(), Optional.empty()).text(), model.seams().inference()))
                .tensor().toDoubleArray();
    }

    @Test
    void theVectorOfAnAdapterDoesWhatTheAdapterDoes() {
        Adapter a = adapter("a", 1);
        double[] attached = logits();
        WeightVector v = WeightVector.of(a);
        a.detach();
        double[] bare = logits();
        Runnable undo = v.applyTo(model);
        assertThat(logits()).usingComparatorWithPrecision(1e-9).containsExactly(attached);
        undo.run();
        assertThat(logits()).containsExactly(bare);
    }

    @Test
    void vectorsAddAndScaleAsTheirAdaptersDo() {
        WeightVector a = WeightVector.of(adapter("a", 1));
        WeightVector b = WeightVector.of(adapter("b", 2));
        double[] both = logits();
        model.seams().activate();
        Runnable undo = a.plus(b).applyTo(model);
        assertThat(logits()).usingComparatorWithPrecision(1e-9).containsExactly(both);
        undo.run();
        assertThat(a.minus(a).norm()).isZero();
        assertThat(a.times(-3).norm()).isCloseTo(3 * a.norm(), within(1e-9));
        assertThat(a.norm()).isPositive();
    }

    @Test
    void refusesWhatDoesNotFitAndChangesNothing() {
        WeightVector v = WeightVector.of(adapter("a", 1));
        CausalLm other = TinyModels.BIASED.make(Backends.reference(), DType.F64);
        assertThatThrownBy(() -> v.applyTo(other)).hasMessageContaining("q_proj.weight").hasMessageContaining("another model");
        Adapter prefix = Adapters.create(model, "p", PrefixTuning.DEFAULTS.withTokens(2), 0);
        assertThatThrownBy(() -> WeightVector.of(prefix)).isInstanceOf(AdapterException.class).hasMessageContaining("PREFIX_TUNING");
    }

    @Test
    void unmergingUnderALaterMergeIsRefused() {
        Adapter a = adapter("a", 1);
        Adapter b = adapter("b", 2);
        double[] both = logits();
        a.merge();
        b.merge();
        assertThatThrownBy(a::unmerge).hasMessageContaining("changed again");
        b.unmerge();
        a.unmerge();
        assertThat(logits()).containsExactly(both);
    }
}
