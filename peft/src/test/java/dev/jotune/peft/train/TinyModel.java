package dev.jotune.peft.train;

import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.Weights;
import dev.jotune.peft.Methods;
import dev.jotune.peft.TuningMethod;
import dev.jotune.peft.methods.PrefixTuning;
import dev.jotune.peft.methods.PromptTuning;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A Llama of random weights, the same each time, and random texts for it. */
final class TinyModel {
    static final int VOCABULARY = 37;
    static final int CONTEXT = 24;

    private static final String CONFIG = """
            {"model_type": "llama", "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": %d, "max_position_embeddings": %d}
            """.formatted(VOCABULARY, CONTEXT);

    private TinyModel() {}

    static CausalLm make(Backend backend, DType type) {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        shapes.put("model.embed_tokens.weight", new long[] {VOCABULARY, 16});
        shapes.put("lm_head.weight", new long[] {VOCABULARY, 16});
        shapes.put("model.norm.weight", new long[] {16});
        for (int l = 0; l < 2; l++) {
            String p = "model.layers." + l + ".";
            shapes.put(p + "self_attn.q_proj.weight", new long[] {16, 16});
            shapes.put(p + "self_attn.k_proj.weight", new long[] {8, 16});
            shapes.put(p + "self_attn.v_proj.weight", new long[] {8, 16});
            shapes.put(p + "self_attn.o_proj.weight", new long[] {16, 16});
            shapes.put(p + "mlp.gate_proj.weight", new long[] {24, 16});
            shapes.put(p + "mlp.up_proj.weight", new long[] {24, 16});
            shapes.put(p + "mlp.down_proj.weight", new long[] {16, 24});
            shapes.put(p + "input_layernorm.weight", new long[] {16});
            shapes.put(p + "post_attention_layernorm.weight", new long[] {16});
        }
        List<String> order = List.copyOf(shapes.keySet());
        Weights.Source source = new Weights.Source() {
            @Override
            public boolean contains(String name) {
                return shapes.containsKey(name);
            }

            @Override
            public Tensor get(String name) {
                long[] shape = shapes.get(name);
                double[] values = new double[(int) (shape.length == 1 ? shape[0] : shape[0] * shape[1])];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (shape.length == 1 ? 1 : 0) + 0.3 * Philox.normal(5, order.indexOf(name), i);
                }
                return Tensor.of(backend, type, values, shape);
            }

            @Override
            public String origin() {
                return "the test's model";
            }
        };
        return Architectures.build(Config.parse(CONFIG, "the test's config"), source, backend, type).as(CausalLm.class);
    }

    /** Texts of 3 to 12 tokens, of which some are given and not learnt. */
    static Dataset texts(int n) {
        List<Example> out = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            int length = 3 + Philox.nextInt(9, i, 1000, 10);
            int[] ids = new int[length];
            for (int t = 0; t < length; t++) {
                ids[t] = Philox.nextInt(9, i, t, VOCABULARY);
            }
            int[] labels = ids.clone();
            java.util.Arrays.fill(labels, 0, 1 + i % 2, Example.IGNORED);
            out.add(new Example(ids, labels));
        }
        return Dataset.of(out);
    }

    /** One of each kind, with what is hardest to resume: dropout, and a prefix behind an MLP. */
    static TuningMethod method(String name) {
        return switch (name) {
            case "lora" -> Methods.configure(Methods.named("lora"), Map.of("r", 2, "lora_alpha", 4, "lora_dropout", 0.2));
            case "dora" -> Methods.configure(Methods.named("dora"), Map.of("r", 2, "lora_dropout", 0.2));
            case "shira" -> Methods.configure(Methods.named("shira"), Map.of("r", 1));
            case "prefix" -> PrefixTuning.DEFAULTS.withTokens(3);
            case "prefix-mlp" -> new PrefixTuning(3, true, Optional.of(6), Optional.empty(), List.of());
            // The third of eight updates takes the first ranks, the sixth the last.
            case "adalora" -> Methods.configure(Methods.named("adalora"), Map.of("init_r", 3, "target_r", 1, "tinit", 2, "tfinal", 2,
                    "total_step", 8, "lora_dropout", 0.1));
            case "prompt" -> PromptTuning.DEFAULTS.withTokens(3);
            default -> throw new IllegalArgumentException(name);
        };
    }
}
