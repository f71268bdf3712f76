package dev.jotune.peft;

import dev.jotune.models.CausalLm;
import dev.jotune.models.Config;
import dev.jotune.models.Weights;
import dev.jotune.models.decoder.Decoder;
import dev.jotune.models.decoder.DecoderConfig;
import dev.jotune.models.decoder.Families;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import java.util.List;
import java.util.stream.LongStream;

/** Models of a few thousand random weights, the same on every backend, for what must hold on any model. */
final class TinyModels {
    /** Grouped-query attention, a head of its own. */
    static final Kind GROUPED = new Kind("grouped", config(16, 20, 4, 2, 4, 23, false, false));
    /** One key/value head, the head tied to the embedding. */
    static final Kind TIED = new Kind("tied", config(12, 14, 2, 1, 6, 19, false, true));
    /** Biases everywhere; the heads together are wider than the model. */
    static final Kind BIASED = new Kind("biased", config(12, 10, 2, 2, 8, 17, true, false));

    static final List<Kind> ALL = List.of(GROUPED, TIED, BIASED);

    private TinyModels() {}

    /** One shape of model. */
    record Kind(String name, DecoderConfig config) {
        /** F64 on the reference backend is what double precision is checked in. */
        CausalLm make(Backend backend, DType type) {
            return new Decoder(config, new Noise(config, backend, type), backend, type);
        }

        /** A model of one layer alone, which is layer {@code number} of {@link #make}. */
        CausalLm layer(int number, Backend backend, DType type) {
            Noise all = new Noise(config, backend, type);
            DecoderConfig one = shape(config.hiddenSize(), config.intermediateSize(), config.numAttentionHeads(),
                    config.numKeyValueHeads(), config.headDim(), config.vocabSize(), config.attentionBias(), config.tieWordEmbeddings(), 1);
            return new Decoder(one, new Weights.Source() {
                @Override
                public boolean contains(String name) {
                    return true;
                }

                @Override
                public Tensor get(String name) {
                    return all.get(name.replace("layers.0.", "layers." + number + "."));
                }

                @Override
                public String origin() {
                    return "layer " + number + " of " + all.origin();
                }
            }, backend, type);
        }

        @Override
        public String toString() {
            return name;
        }
    }

    private static DecoderConfig config(int hidden, int inner, int heads, int groups, int headDim, int vocabulary, boolean biases,
            boolean tied) {
        return shape(hidden, inner, heads, groups, headDim, vocabulary, biases, tied, 2);
    }

    private static DecoderConfig shape(int hidden, int inner, int heads, int groups, int headDim, int vocabulary, boolean biases,
            boolean tied, int layers) {
        return Families.read(Config.parse("""
                {"model_type": "llama", "hidden_size": %d, "intermediate_size": %d, "num_hidden_layers": %d,
                 "num_attention_heads": %d, "num_key_value_heads": %d, "head_dim": %d, "vocab_size": %d,
                 "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "attention_bias": %b, "mlp_bias": %b,
                 "tie_word_embeddings": %b}""".formatted(hidden, inner, layers, heads, groups, headDim, vocabulary, biases, biases, tied),
                "a tiny model"));
    }

    /** Any weight that is asked for: normal noise, around 1 for norms. */
    private record Noise(DecoderConfig config, Backend backend, DType type) implements Weights.Source {
        @Override
        public boolean contains(String name) {
            return true;
        }

        @Override
        public Tensor get(String name) {
            long[] shape = shape(name);
            boolean norm = name.contains("norm");
            double std = norm || name.endsWith("bias") ? 0.2 : name.contains("embed") ? 0.3 : 1.2 / Math.sqrt(shape[1]);
            long n = LongStream.of(shape).reduce(1, (a, b) -> a * b);
            // Rounded to F32, so that both types compute the same function.
            double[] values = LongStream.range(0, n).mapToDouble(i ->
                    (float) ((norm ? 1 : 0) + std * Philox.normal(5, name.hashCode(), i))).toArray();
            return Tensor.of(backend, type, values, shape);
        }

        private long[] shape(String name) {
            String module = name.substring(0, name.lastIndexOf('.'));
            if (module.endsWith("norm")) {
                return new long[] {config.hiddenSize()};
            }
            if (module.endsWith("embed_tokens")) {
                return new long[] {config.vocabSize(), config.hiddenSize()};
            }
            long[] sizes = linear(module.substring(module.lastIndexOf('.') + 1), config);
            return name.endsWith("bias") ? new long[] {sizes[0]} : sizes;
        }

        @Override
        public String origin() {
            return "noise";
        }
    }

    /** {@code [out, in]} of a linear layer, by the last part of its path. */
    static long[] linear(String module, DecoderConfig c) {
        long queries = (long) c.numAttentionHeads() * c.headDim();
        long keys = (long) c.numKeyValueHeads() * c.headDim();
        return switch (module) {
            case "q_proj" -> new long[] {queries, c.hiddenSize()};
            case "k_proj", "v_proj" -> new long[] {keys, c.hiddenSize()};
            case "o_proj" -> new long[] {c.hiddenSize(), queries};
            case "gate_proj", "up_proj" -> new long[] {c.intermediateSize(), c.hiddenSize()};
            case "down_proj" -> new long[] {c.hiddenSize(), c.intermediateSize()};
            case "lm_head" -> new long[] {c.vocabSize(), c.hiddenSize()};
            default -> throw new IllegalArgumentException(module);
        };
    }
}
