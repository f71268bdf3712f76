package dev.jotune.models.decoder;

import static org.assertj.core.api.Assertions.assertThat;

import dev.jotune.autograd.Gradients;
import dev.jotune.autograd.Var;
import dev.jotune.models.Config;
import dev.jotune.models.DecoderCache;
import dev.jotune.models.DecoderInput;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.Parameter;
import dev.jotune.tensor.Backends;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.HostMemory;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Shape;
import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.random.Philox;
import dev.jotune.testing.SettledMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;
import org.junit.jupiter.api.Test;

/** Memory grows with the length of the text as the Javadoc of {@code CausalTransformer} says: linearly. */
class LongContextMemoryTest {
    private static final int SHORT = 512;
    private static final int MIDDLE = 1024;
    private static final int LONG = 2048;

    private final Decoder model = model();
    private final DecoderConfig c = model.config();
    /** Elements a token that one block makes. */
    private final long block = 6L * c.hiddenSize() + c.headDim() * (3L * c.numAttentionHeads() + 3L * c.numKeyValueHeads())
            + 3L * c.intermediateSize() + c.numAttentionHeads();
    /** Elements a token outside the blocks: the states between them, and the rotary tables. */
    private final long outside = 3L * c.hiddenSize() + c.headDim() + 2;

    private static Decoder model() {
        DecoderConfig config = Families.read(Config.parse("""
                {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
                 "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 50, "max_position_embeddings": 4096, "tie_word_embeddings": true}
                """, "a tiny model"));
        return new Decoder(config, new Weights.Source() {
            @Override
            public boolean contains(String name) {
                return true;
            }

            @Override
            public Tensor get(String name) {
                long[] shape = name.contains("norm") ? new long[] {32} : name.contains("embed") ? new long[] {50, 32}
                        : name.contains("k_proj") || name.contains("v_proj") ? new long[] {16, 32} : name.contains("down") ? new long[] {32, 48}
                        : name.contains("gate") || name.contains("up") ? new long[] {48, 32} : new long[] {32, 32};
                double[] values = new double[Math.toIntExact(Shape.numel(shape))];
                Arrays.setAll(values, i -> 0.2 * Philox.normal(1, name.hashCode(), i));
                return Tensor.of(Backends.cpu(), DType.F32, values, shape);
            }

            @Override
            public String origin() {
                return "noise";
            }
        }, Backends.cpu(), DType.F32);
    }

    private static Tensor ids(int time) {
        return Tensor.of(Backends.cpu(), new long[time], 1, time);
    }

    /** The most that a run holds at once. */
    private static long peak(int time, IntConsumer run) {
        long before = SettledMemory.inUse();
        try (Scope scope = Scope.open()) {
            run.accept(time);
        }
        return HostMemory.peakBytes() - before;
    }

    /** Elements that each further token takes, having checked that the growth is linear and far from T x T. */
    private double slope(IntConsumer run) {
        peak(SHORT, run);
        double first = (peak(MIDDLE, run) - peak(SHORT, run)) / 4.0 / (MIDDLE - SHORT);
        double second = (peak(LONG, run) - peak(MIDDLE, run)) / 4.0 / (LONG - MIDDLE);
        assertThat(second).as("elements for each further token, first %s", first).isBetween(0.93 * first, 1.07 * first);
        assertThat(peak(LONG, run)).isLessThan(4L * c.numAttentionHeads() * LONG * LONG);
        return second;
    }

    private void forward(int time) {
        DecoderCache cache = model.newCache(1, time);
        model.forward(DecoderInput.of(ids(time)), model.seams().inference(), Optional.of(cache));
        cache.free();
    }

    private void train(int time) {
        List<Var> weights = new ArrayList<>();
        for (Parameter p : model.seams().parameters().values()) {
            if (!p.base().requiresGrad()) {
                p.replace(Var.parameter(p.base().tensor()));
            }
            weights.add(p.base());
        }
        // Few labels: the logits of a chunk of rows are no matter of the text's length.
        long[] labels = new long[time];
        Arrays.fill(labels, 0, time - 8, -100);
        Var loss = model.loss(DecoderInput.of(ids(time)), Tensor.of(Backends.cpu(), labels, 1, time), model.seams().inference());
        Gradients.of(loss, weights);
    }

    @Test
    void aForwardPassTakesItsCacheAndOneBlock() {
        long cache = 2L * c.numHiddenLayers() * c.numKeyValueHeads() * c.headDim();
        assertThat(slope(this::forward)).isBetween(0.95 * (cache + block + outside), 1.02 * (cache + block + outside));
    }

    @Test
    void aTrainingStepKeepsEveryBlockAndTakesOneMoreForItsGradients() {
        double stored = c.numHiddenLayers() * block;
        assertThat(slope(this::train)).isBetween(stored, stored + block + outside);
    }

    @Test
    void withCheckpointingOnlyTheStatesBetweenTheBlocksAreKept() {
        model.setCheckpointing(true);
        double stored = (double) c.numHiddenLayers() * c.hiddenSize();
        assertThat(slope(this::train)).isBetween(stored + block, stored + 2 * block + outside);
    }

    @Test
    void textsInOneRowAreTheOnlyThingThatTakesASquare() {
        IntConsumer plain = t -> model.forward(DecoderInput.of(ids(t)).withPositions(positions(t, t)), model.seams().inference(),
                Optional.empty());
        IntConsumer packed = t -> model.forward(DecoderInput.of(ids(t)).withPositions(positions(t, t / 2)), model.seams().inference(),
                Optional.empty());
        assertThat(peak(MIDDLE, packed) - peak(MIDDLE, plain)).isBetween(4L * MIDDLE * MIDDLE, 5L * MIDDLE * MIDDLE);
    }

    private static Tensor positions(int time, int each) {
        long[] p = new long[time];
        Arrays.setAll(p, i -> i % each);
        return Tensor.of(Backends.cpu(), p, 1, time);
    }
}
