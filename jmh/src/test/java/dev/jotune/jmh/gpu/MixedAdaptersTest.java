package dev.jotune.jmh.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.cuda.Emulation;
import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.RandomWeights;
import dev.jotune.models.seam.Pass;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.KernelTime;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** A batch of several tenants on CUDA's kernels: each row is what it is alone, forward and backward, and the kernel is used. */
class MixedAdaptersTest {
    private static final List<String> NAMES = List.of("a", "", "b", "a", "c");
    private static final int TIME = 3;
    private static final int HIDDEN = 16;

    private final List<Adapter> adapters = new ArrayList<>();

    private CausalLm model(Backend b) {
        Config config = Config.parse("""
                {"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": true}""", "a test");
        CausalLm m = (CausalLm) Architectures.build(config, new RandomWeights(b, DType.F32, 32, HIDDEN, 24, 8, 64), b, DType.F32);
        for (int i = 0; i < 3; i++) {
            String name = List.of("a", "b", "c").get(i);
            Lora lora = Lora.DEFAULTS.withRank(2 + i, 4).withTargets(i == 2 ? Targets.of("q_proj") : Targets.of("q_proj", "down_proj"));
            Adapter a = Adapters.create(m, name, lora, i);
            // B starts at zero, where no adapter does anything.
            a.trainables().forEach((key, v) -> b.normal(v.tensor(), 7, key.hashCode() + (long) name.hashCode()));
            adapters.add(a);
        }
        return m;
    }

    private static Tensor ids(Backend b, int row, int rows) {
        long[] ids = new long[rows * TIME];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = (row * TIME + i) * 7L % 32;
        }
        return Tensor.of(b, ids, rows, TIME);
    }

    private static Var logits(CausalLm m, Tensor ids, List<String> names) {
        Pass pass = m.seams().rows(names);
        return m.logits(m.forward(DecoderInput.of(ids), pass, Optional.empty()).text(), pass);
    }

    @Test
    void aMixedBatchIsEachRowAlone() {
        Emulation.install();
        Backend b = Backends.get("cuda:0");
        CausalLm m = model(b);
        b.startProfile();
        double[] together = Recording.off(() -> logits(m, ids(b, 0, NAMES.size()), NAMES)).tensor().toDoubleArray();
        List<KernelTime> ran = b.stopProfile();
        // Two layers, of which each has one product with terms for queries and one for what goes down.
        assertThat(ran.stream().filter(k -> k.kernel().startsWith("grouped_lora")).mapToLong(KernelTime::calls).sum()).isEqualTo(4);
        for (int row = 0; row < NAMES.size(); row++) {
            int at = row;
            double[] alone = Recording.off(() -> logits(m, ids(b, at, 1), NAMES.subList(at, at + 1))).tensor().toDoubleArray();
            for (int i = 0; i < alone.length; i++) {
                assertThat(together[row * alone.length + i]).as("row %d", row).isCloseTo(alone[i], within(1e-4 * Math.max(1, Math.abs(alone[i]))));
            }
        }
    }

    @Test
    void eachRowTrainsItsOwnAdapterAsOnTheCpu() {
        Emulation.install();
        Backend cuda = Backends.get("cuda:0");
        List<double[]> there = gradients(cuda);
        List<double[]> here = gradients(Backends.cpu());
        for (int i = 0; i < here.size(); i++) {
            for (int k = 0; k < here.get(i).length; k++) {
                double want = here.get(i)[k];
                assertThat(there.get(i)[k]).as("gradient %d", i).isCloseTo(want, within(1e-4 * Math.max(1, Math.abs(want))));
            }
        }
        assertThat(here.stream().flatMapToDouble(Arrays::stream).filter(g -> g != 0).count()).isPositive();
    }

    private List<double[]> gradients(Backend b) {
        adapters.clear();
        CausalLm m = model(b);
        List<Var> trained = new ArrayList<>();
        adapters.forEach(a -> trained.addAll(a.trainables().values()));
        b.startProfile();
        Var loss = logits(m, ids(b, 0, NAMES.size()), NAMES).square().sum();
        List<double[]> all = Gradients.of(loss, trained).stream().map(Tensor::toDoubleArray).toList();
        List<KernelTime> ran = b.stopProfile();
        if (!b.name().equals("cpu")) {
            assertThat(ran.stream().filter(k -> k.kernel().startsWith("grouped_lora_gradients")).mapToLong(KernelTime::calls).sum()).isEqualTo(4);
        }
        return all;
    }
}
