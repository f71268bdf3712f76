package dev.jotune.peft.objectives;

import dev.jotune.models.Architectures;
import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.Weights;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;

/** Decoders of random weights, the same each time: rotary angles, learned positions, a window. */
public final class TinyDecoders {
    public static final int VOCABULARY = 41;
    public static final int CONTEXT = 160;
    private static final int HIDDEN = 16;
    private static final int INNER = 24;

    private TinyDecoders() {}

    /** A model on the reference backend in F64, or on the CPU in F32. */
    public static CausalLm make(String family, int layers, boolean wide) {
        Backend backend = wide ? Backends.reference() : Backends.cpu();
        DType type = wide ? DType.F64 : DType.F32;
        return Architectures.build(Config.parse(config(family, layers), "a test"), new Noise(backend, type), backend, type).as(CausalLm.class);
    }

    public static CausalLm make(String family, boolean wide) {
        return make(family, 2, wide);
    }

    private static String config(String family, int layers) {
        if (family.equals("gpt2")) {
            return "{\"model_type\": \"gpt2\", \"vocab_size\": %d, \"n_embd\": %d, \"n_layer\": %d, \"n_head\": 4, \"n_positions\": %d}"
                    .formatted(VOCABULARY, HIDDEN, layers, CONTEXT);
        }
        return """
                {"model_type": "%s", "vocab_size": %d, "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": %d,
                 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": %d, "tie_word_embeddings": false%s}"""
                .formatted(family, VOCABULARY, HIDDEN, INNER, layers, CONTEXT, family.equals("mistral") ? ", \"sliding_window\": 5" : "");
    }

    private record Noise(Backend backend, DType type) implements Weights.Source {
        @Override
        public boolean contains(String name) {
            return true;
        }

        @Override
        public Tensor get(String name) {
            long[] shape = shape(name);
            double[] values = new double[Math.toIntExact(Arrays.stream(shape).reduce(1, (a, b) -> a * b))];
            boolean norm = shape.length == 1 && name.endsWith(".weight");
            // Rounded to F32, so that both types compute the same function.
            Arrays.setAll(values, i -> (float) ((norm ? 1 : 0) + (shape.length == 1 ? 0.1 : 0.3) * Philox.normal(5, name.hashCode(), i)));
            return Tensor.of(backend, type, values, shape);
        }

        private static long[] shape(String name) {
            String module = name.substring(0, name.lastIndexOf('.'));
            boolean bias = name.endsWith(".bias");
            return switch (module.substring(module.lastIndexOf('.') + 1)) {
                case "embed_tokens", "lm_head", "wte" -> new long[] {VOCABULARY, HIDDEN};
                case "wpe" -> new long[] {CONTEXT, HIDDEN};
                case "k_proj", "v_proj" -> new long[] {HIDDEN / 2, HIDDEN};
                case "q_proj", "o_proj" -> new long[] {HIDDEN, HIDDEN};
                case "gate_proj", "up_proj" -> new long[] {INNER, HIDDEN};
                case "down_proj" -> new long[] {HIDDEN, INNER};
                case "c_attn" -> bias ? new long[] {3 * HIDDEN} : new long[] {HIDDEN, 3 * HIDDEN};
                case "c_fc" -> bias ? new long[] {4 * HIDDEN} : new long[] {HIDDEN, 4 * HIDDEN};
                case "c_proj" -> bias ? new long[] {HIDDEN} : new long[] {module.contains("mlp") ? 4 * HIDDEN : HIDDEN, HIDDEN};
                default -> new long[] {HIDDEN};
            };
        }

        @Override
        public String origin() {
            return "noise";
        }
    }
}
