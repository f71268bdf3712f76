package dev.jotune.jmh.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.jotune.autograd.Var;
import dev.jotune.cuda.Emulation;
import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.RandomWeights;
import dev.jotune.models.generate.BatchSession;
import dev.jotune.models.generate.CausalLanguageModel;
import dev.jotune.models.generate.Generation;
import dev.jotune.models.generate.Generator;
import dev.jotune.models.generate.SamplingOptions;
import dev.jotune.models.generate.StopCondition;
import dev.jotune.models.generate.TextRequest;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.Adapters;
import dev.jotune.peft.Targets;
import dev.jotune.peft.methods.Ia3;
import dev.jotune.peft.methods.Lora;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.Nf4Matrix;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What a generator writes on a CUDA device through recorded steps is what it writes through the whole model at every step: several texts of
 * unequal length at once, which end one by one, under the adapters that people use. A cache in blocks has no recorded steps, so that is the
 * other way.
 */
class CudaGenerationTest {
    private static final String CONFIG = """
            {"model_type": "llama", "vocab_size": 50, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": true}""";
    private static final int[][] PROMPTS = {{1, 2, 3, 4, 5}, {7}, {9, 8, 7}};
    private static final Logger LOG = Logger.getLogger("dev.jotune.steps");
    private static Backend device;

    @BeforeAll
    static void deviceIsThere() {
        Emulation.install();
        device = Backends.get("cuda:0");
    }

    private static CausalLm model(String stored) {
        return model(stored, CONFIG);
    }

    private static CausalLm model(String stored, String config) {
        DType type = stored.equals("NF4") ? DType.F32 : DType.valueOf(stored);
        CausalLm model = (CausalLm) Architectures.build(Config.parse(config, "test"), new RandomWeights(device, type, 50, 64, 96, 32, 0), device,
                DType.F32);
        for (Parameter p : model.seams().parameters().values()) {
            // Deviation 0.02 makes every text alike; ten times that does not.
            Tensor w = p.base().mul(p.shape().length == 2 ? 10 : 1).to(type).tensor();
            p.replace(stored.equals("NF4") && p.shape().length == 2 ? new StoredWeight.Quantized(Nf4Matrix.quantize(w), false, device)
                    : new StoredWeight.Dense(Var.constant(w)));
        }
        return model;
    }

    private static void attach(CausalLm model, String adapter) {
        if (adapter.equals("none")) {
            return;
        }
        Adapter a = Adapters.create(model, adapter, switch (adapter) {
            case "lora" -> Lora.DEFAULTS.withRank(4, 16).withTargets(Targets.matching(Targets.ALL_LINEAR));
            case "prefix" -> PrefixTuning.DEFAULTS.withTokens(6);
            case "projected prefix" -> new PrefixTuning(5, true, Optional.empty(), Optional.empty(), List.of());
            case "prompt" -> PromptTuning.DEFAULTS.withTokens(4);
            case "ia3" -> Ia3.DEFAULTS;
            default -> throw new IllegalArgumentException(adapter);
        }, 1);
        long seed = 5;
        for (Var v : a.trainables().values()) {
            Tensor noise = Tensor.empty(device, DType.F32, v.shape());
            device.normal(noise, seed++, 0);
            v.tensor().copyFrom(Var.constant(noise).mul(0.3).tensor());
        }
    }

    private static List<String> said(Runnable work) {
        List<String> lines = new ArrayList<>();
        Handler heard = new Handler() {
            @Override
            public void publish(LogRecord r) {
                lines.add(r.getMessage());
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        };
        Level before = LOG.getLevel();
        LOG.setLevel(Level.FINE);
        LOG.addHandler(heard);
        try {
            work.run();
        } finally {
            LOG.removeHandler(heard);
            LOG.setLevel(before);
        }
        return lines;
    }

    @ParameterizedTest
    @CsvSource({"F32, none", "BF16, none", "NF4, none", "F32, lora", "NF4, lora", "F32, prefix", "BF16, projected prefix", "F32, prompt"})
    void textsTogetherAreWhatTheWholeModelWrites(String stored, String adapter) {
        CausalLm model = model(stored);
        attach(model, adapter);
        CausalLanguageModel usual = new CausalLanguageModel(model, model.seams()::inference);
        // The second row ends while the others go on.
        StopCondition early = (history, prompt, length) -> history[0] == PROMPTS[1][0] && length - prompt == 4;
        List<TextRequest> requests = new ArrayList<>();
        for (int[] prompt : PROMPTS) {
            requests.add(TextRequest.of(prompt));
        }
        List<Generation> want = new Generator(usual.inBlocks(4), SamplingOptions.greedy(9)).until(early).generate(requests);
        List<List<Generation>> got = new ArrayList<>();
        assertThat(said(() -> got.add(new Generator(usual, SamplingOptions.greedy(9)).until(early).generate(requests))))
                .containsExactly("Texts go through prepared steps of cuda:0, 3 at once.", "Texts go through prepared steps of cuda:0, 2 at once.");
        for (int i = 0; i < PROMPTS.length; i++) {
            assertThat(got.getFirst().get(i).tokens()).as("text %d", i).isEqualTo(want.get(i).tokens());
            assertThat(got.getFirst().get(i).finishReason()).isEqualTo(want.get(i).finishReason());
        }
        logits(usual);
    }

    /** Step by step, with a row that is dropped, one that is copied, and a cache that grows from 64 tokens. */
    private static void logits(CausalLanguageModel usual) {
        float[][] got = new float[3][50];
        float[][] want = new float[3][50];
        try (BatchSession steps = usual.openBatch(3); BatchSession whole = usual.inBlocks(4).openBatch(3)) {
            steps.read(PROMPTS, got);
            whole.read(PROMPTS, want);
            for (int i = 0; i < 5; i++) {
                if (i == 3) {
                    steps.reorder(2, 0, 2);
                    whole.reorder(2, 0, 2);
                }
                int[][] tokens = {{3 + i}, {40 - i}, {11 * (i + 1) % 50}};
                steps.read(tokens, got);
                whole.read(tokens, want);
                for (int b = 0; b < 3; b++) {
                    for (int v = 0; v < 50; v++) {
                        assertThat((double) got[b][v]).as("step %d, row %d, logit %d", i, b, v)
                                .isCloseTo(want[b][v], within(2e-4 * (1 + Math.abs(want[b][v]))));
                    }
                }
            }
        }
    }

    /** What cannot be recorded is computed all the same, and the reason said. */
    @ParameterizedTest
    @CsvSource({"llama, ia3, makes of", "llama, none, keys and values lie in blocks", "mistral, prefix, slides over"})
    void whyThereAreNoStepsIsSaid(String type, String adapter, String reason) {
        CausalLm model = model("F32", type.equals("mistral") ? CONFIG.replace("llama", type).replace("}", ", \"sliding_window\": 8}") : CONFIG);
        attach(model, adapter);
        CausalLanguageModel usual = new CausalLanguageModel(model, model.seams()::inference);
        CausalLanguageModel asked = adapter.equals("none") ? usual.inBlocks(4) : usual;
        List<Generation> got = new ArrayList<>();
        assertThat(said(() -> got.add(new Generator(asked, SamplingOptions.greedy(3)).generate(PROMPTS[0]))))
                .singleElement().satisfies(line -> assertThat(line).startsWith("Texts go through the whole model at every step, 1 at once: ")
                        .contains(reason));
        assertThat(got.getFirst().newTokens()).isEqualTo(3);
    }
}
