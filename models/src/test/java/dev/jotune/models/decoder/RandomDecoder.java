package dev.jotune.models.decoder;

import dev.jotune.models.Config;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.StoredWeight;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.BlockFormat;
import dev.jotune.tensor.quant.BlockMatrix;
import dev.jotune.tensor.quant.Nf4Matrix;
import dev.jotune.tensor.random.Philox;
import java.util.Arrays;
import java.util.Optional;

/**
 * Random weights for any decoder with projections of its own for queries, keys and values.
 *
 * @param stored a {@link DType}, a {@link BlockFormat} or NF4: how matrices are stored
 */
public record RandomDecoder(DecoderConfig config, String stored) implements Weights.Source {
    /** Large enough for several threads; heads with a rest after the last vector, rows of outputs too. */
    public static final String LARGE = """
            {"model_type": "qwen3", "hidden_size": 384, "intermediate_size": 1061, "num_hidden_layers": 2, "num_attention_heads": 6,
             "num_key_value_heads": 3, "head_dim": 70, "vocab_size": 1009, "max_position_embeddings": 256}""";

    /** The model of a {@code config.json}. */
    public static Decoder of(String json, String stored) {
        DecoderConfig config = Families.read(Config.parse(json, "random weights"));
        return new Decoder(config, new RandomDecoder(config, stored), Backends.cpu(), DType.F32);
    }

    @Override
    public boolean contains(String name) {
        return !name.equals("lm_head.weight") || !config.tieWordEmbeddings();
    }

    private boolean isDense() {
        return Arrays.stream(DType.values()).anyMatch(t -> t.name().equals(stored));
    }

    @Override
    public Tensor get(String name) {
        Tensor wide = numbers(name);
        return isDense() ? wide.to(DType.valueOf(stored)) : wide;
    }

    private Tensor numbers(String name) {
        long[] shape = shape(name);
        double centre = name.contains("norm") ? 1 : 0;
        double[] values = new double[Math.toIntExact(Shape.numel(shape))];
        double spread = shape.length == 1 ? 0.3 : 1 / Math.sqrt(shape[1]);
        Arrays.setAll(values, i -> centre + spread * Philox.normal(1, name.hashCode(), i));
        return Tensor.of(Backends.cpu(), DType.F32, values, shape);
    }

    @Override
    public Optional<StoredWeight.Quantized> quantized(String name) {
        if (isDense() || shape(name).length == 1) {
            return Optional.empty();
        }
        Tensor wide = numbers(name);
        return Optional.of(new StoredWeight.Quantized(stored.equals("NF4") ? Nf4Matrix.quantize(wide)
                : BlockMatrix.quantize(BlockFormat.valueOf(stored), wide), false, Backends.cpu()));
    }

    private long[] shape(String name) {
        long c = config.hiddenSize();
        long f = config.intermediateSize();
        long q = (long) config.numAttentionHeads() * config.headDim();
        long k = (long) config.numKeyValueHeads() * config.headDim();
        if (name.endsWith(".bias")) {
            return new long[] {name.contains("q_proj") ? q : name.contains("o_proj") ? c : k};
        }
        if (name.contains("q_norm") || name.contains("k_norm")) {
            return new long[] {config.headDim()};
        }
        return name.contains("norm") ? new long[] {c}
                : name.contains("embed") || name.contains("lm_head") ? new long[] {config.vocabSize(), c}
                : name.contains("q_proj") ? new long[] {q, c}
                : name.contains("k_proj") || name.contains("v_proj") ? new long[] {k, c}
                : name.contains("o_proj") ? new long[] {c, q}
                : name.contains("down") ? new long[] {c, f} : new long[] {f, c};
    }

    @Override
    public String origin() {
        return "random weights";
    }
}
