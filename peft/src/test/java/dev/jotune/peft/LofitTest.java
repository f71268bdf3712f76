package dev.jotune.peft;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.models.decoder.Families;
import dev.jotune.models.seam.Hooks;
import dev.jotune.models.seam.Parameter;
import dev.jotune.peft.methods.Lofit;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * LoFiT on a planted task. A decoder of 64 heads reads texts of two classes; only one head's output reaches the stream, and
 * carries the class to the last token, where the answers 1 and 2 are told apart. The last token itself says 1 too loudly, so
 * that the model always answers 1.
 */
class LofitTest {
    private static final int TIME = 6;
    private static final int CLASSES = 8;
    private static final int QUERY = 19;
    private static final String PLANTED = "layers.2.attn.5";
    private static final DecoderConfig CONFIG = Families.read(Config.parse("""
            {"model_type": "llama", "hidden_size": 32, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 16,
             "num_key_value_heads": 16, "head_dim": 4, "vocab_size": 20, "max_position_embeddings": 16, "rms_norm_eps": 1e-5}""", "64 heads"));

    private static CausalLm planted() {
        CausalLm model = new TinyModels.Kind("64 heads", CONFIG).make(Backends.cpu(), DType.F32);
        Map<String, Parameter> p = model.seams().parameters();
        int c = CONFIG.hiddenSize();
        // The classes differ in feature 0, the answers in feature 1, which the query raises.
        edit(p.get("model.embed_tokens.weight"), (i, v) -> i % c == 0 ? i / c < 3 || i / c == QUERY ? 0 : i / c < 3 + CLASSES ? 2 : -2
                : i % c == 1 ? i / c == QUERY ? 3 : 0 : 0.3 * v);
        edit(p.get("lm_head.weight"), (i, v) -> i % c == 1 ? i / c == 1 ? 1 : i / c == 2 ? -1 : 0 : 0.1 * v);
        for (int l = 0; l < CONFIG.numHiddenLayers(); l++) {
            int layer = l;
            int wide = CONFIG.numAttentionHeads() * CONFIG.headDim();
            edit(p.get("model.layers." + l + ".self_attn.o_proj.weight"), (i, v) -> layer == 2 && i % wide / 4 == 5
                    ? (i / wide == 1 && i % 4 == 0 ? 0.5 : 0) : 1e-5 * v);
            edit(p.get("model.layers." + l + ".mlp.down_proj.weight"), (_, v) -> 1e-3 * v);
        }
        edit(p.get("model.layers.2.self_attn.v_proj.weight"), (i, v) -> i / c == 20 ? (i % c == 0 ? 1 : 0) : v);
        return model;
    }

    private interface Edit {
        double of(int index, double value);
    }

    private static void edit(Parameter p, Edit f) {
        double[] values = p.base().tensor().toDoubleArray();
        Arrays.setAll(values, i -> f.of(i, values[i]));
        p.replace(Var.constant(Tensor.of(Backends.cpu(), DType.F32, values, p.shape())));
    }

    /** Texts of one class each, the query, and then the answer. */
    private static Tensor texts(int from, int rows, boolean answered) {
        int time = answered ? TIME + 1 : TIME;
        long[] ids = new long[rows * time];
        Arrays.setAll(ids, i -> {
            int text = from + i / time;
            int kind = Philox.nextInt(5, 0, text, 2);
            return i % time == TIME ? 1 + kind : i % time == TIME - 1 ? QUERY : 3 + kind * CLASSES + Philox.nextInt(5, 1 + text, i % time, CLASSES);
        });
        return Tensor.of(Backends.cpu(), ids, rows, time);
    }

    /** 300 texts in batches of 10, five times. */
    private static void train(Adapter a, double rate) {
        CausalLm model = a.model().as(CausalLm.class);
        Harness.train(a, 150, rate, step -> {
            Tensor ids = texts((int) step % 30 * 10, 10, true);
            long[] labels = ids.toLongArray();
            Arrays.setAll(labels, i -> i % (TIME + 1) == TIME ? labels[i] : -100);
            Var loss = model.loss(DecoderInput.of(ids), Tensor.of(Backends.cpu(), labels, 10, TIME + 1), model.seams().training(1, step));
            // As a run adds it: in the first stage alone.
            return a.stepHook().flatMap(StepHook::penalty).map(loss::add).orElse(loss);
        });
    }

    /** On 200 texts that were not trained on. */
    private static double accuracy(CausalLm model) {
        var pass = model.seams().inference();
        double[] logits = Recording.off(() -> model.logits(model.forward(DecoderInput.of(texts(1000, 200, false)), pass, Optional.empty()).text()
                .slice(1, TIME - 1, TIME), pass)).tensor().toDoubleArray();
        int width = CONFIG.vocabSize();
        return IntStream.range(0, 200).filter(i -> logits[i * width + 2] > logits[i * width + 1] == (Philox.nextInt(5, 0, 1000 + i, 2) == 1))
                .count() / 200.0;
    }

    private static double tuned(TuningMethod method, double rate) {
        CausalLm model = planted();
        train(Adapters.create(model, "a", method, 3), rate);
        return accuracy(model);
    }

    @Test
    void theFirstStageFindsThePlantedHeadAndTheSecondTunesIt() {
        CausalLm model = planted();
        double before = accuracy(model);
        assertThat(before).isBetween(0.4, 0.6);
        Adapter scales = Adapters.create(model, "scales", Lofit.DEFAULTS, 3);
        train(scales, 5e-3);
        // Of 64 heads 3% are two.
        Lofit second = Lofit.selected(scales, 2);
        assertThat(second.heads()).contains(PLANTED);
        List<String> others = IntStream.range(0, 2)
                .mapToObj(i -> "layers." + Philox.nextInt(9, 0, i, 4) + ".attn." + Philox.nextInt(9, 1, i, 16)).toList();
        assertThat(others).doesNotContain(PLANTED).doesNotHaveDuplicates();
        double selected = tuned(second, 2e-2);
        double random = tuned(Lofit.DEFAULTS.at(others), 2e-2);
        assertThat(selected).as("at selected heads").isGreaterThanOrEqualTo(random + 0.03);
        assertThat(selected).as("at selected heads").isGreaterThanOrEqualTo(tuned(Lora.DEFAULTS.withRank(2, 4), 1e-2) - 0.02);
    }

    @Test
    void headsThatWereNotChosenAreExactlyAsTheyWere() {
        CausalLm model = planted();
        Map<String, double[]> seen = new HashMap<>();
        model.seams().attach(Hooks.ofTaps("before", Map.of("layers.0.attn.head_out", (_, z, _) -> {
            seen.put("before", z.tensor().toDoubleArray());
            return z;
        })));
        Harness.move(Adapters.create(model, "a", Lofit.DEFAULTS.at(List.of("layers.0.attn.3", "layers.0.attn.9")), 1), 2);
        model.seams().attach(Hooks.ofTaps("after", Map.of("layers.0.attn.head_out", (_, z, _) -> {
            seen.put("after", z.tensor().toDoubleArray());
            return z;
        })));
        accuracy(model);
        double[] before = seen.get("before");
        double[] after = seen.get("after");
        for (int i = 0; i < before.length; i++) {
            int head = i / 4 % 16;
            if (head == 3 || head == 9) {
                assertThat(after[i]).as("head %d", head).isNotEqualTo(before[i]);
            } else {
                assertThat(after[i]).as("head %d", head).isEqualTo(before[i]);
            }
        }
    }

    @Test
    void everyStepAddsTheSumOfTheScalesMagnitudesInTheFirstStage() {
        Adapter scales = Harness.move(Adapters.create(planted(), "a", Lofit.DEFAULTS, 1), 2);
        double sum = scales.trainables().values().stream().flatMapToDouble(v -> Arrays.stream(v.tensor().toDoubleArray())).map(Math::abs).sum();
        assertThat(scales.stepHook().orElseThrow().penalty().orElseThrow().item()).isCloseTo(5e-4 * sum, within(1e-6 * sum));
        Lofit without = new Lofit("scales", List.of(), 1e-3, 0, List.of());
        assertThat(Adapters.create(planted(), "b", without, 1).stepHook()).isEmpty();
        assertThat(Adapters.create(planted(), "c", Lofit.DEFAULTS.at(List.of(PLANTED)), 1).stepHook()).isEmpty();
    }

    @Test
    void headsAreSelectedFromScalesAlone() {
        Adapter offsets = Adapters.create(planted(), "a", Lofit.DEFAULTS.at(List.of(PLANTED)), 1);
        assertThatThrownBy(() -> Lofit.selected(offsets, 1)).isInstanceOf(AdapterException.class)
                .hasMessageContaining("the 0 heads that have scales");
        Adapter scales = Adapters.create(planted(), "b", Lofit.DEFAULTS, 1);
        assertThatThrownBy(() -> Lofit.selected(scales, 65)).isInstanceOf(AdapterException.class).hasMessageContaining("65 of the 64 heads");
    }
}
