package dev.jotune.jmh.claims;

import dev.jotune.models.FreshWeights;
import dev.jotune.models.Weights;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;

/**
 * Weights of a T5 that is to be trained from nothing, as transformers begins them: embeddings of deviation 1, queries of
 * {@code (C D)^-1/2} since scores are not scaled, other matrices of {@code in^-1/2}, norms 1. The head is the embedding table.
 *
 * @param size D, {@code d_kv}
 */
record T5Weights(Backend backend, long seed, int size) implements Weights.Source {
    @Override
    public boolean contains(String name) {
        return !name.startsWith("lm_head");
    }

    /** @throws UnsupportedOperationException always: it takes a shape to draw a weight */
    @Override
    public Tensor get(String name) {
        throw new UnsupportedOperationException("the weight " + name + " has no shape before a model asks for it. Name one.");
    }

    @Override
    public Tensor get(String name, long[] shape) {
        if (shape.length == 1) {
            return Tensor.full(backend, DType.F32, 1, shape);
        }
        double variance = name.startsWith("shared") ? 1 : name.endsWith(".q.weight") ? 1.0 / (shape[1] * size) : 1.0 / shape[1];
        return FreshWeights.drawn(backend, seed, name, shape, Math.sqrt(variance));
    }

    @Override
    public String origin() {
        return "fresh weights of seed " + seed;
    }
}
