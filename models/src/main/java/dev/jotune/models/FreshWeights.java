package dev.jotune.models;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;

/**
 * Weights of a decoder that is to be trained from nothing: matrices drawn from N(0, d^2), what writes into the residual stream
 * smaller by {@code sqrt(2 L)} (Radford et al. 2019, section 2.3), norms 1, biases 0. Each weight has a stream of noise of its
 * own, so the same seed gives the same numbers on every backend. Embedding and head are one weight.
 *
 * @param layers L
 * @param deviation d
 */
public record FreshWeights(Backend backend, long seed, int layers, double deviation) implements Weights.Source {

    /** Whatever is asked for is there, but no head beside the embedding. */
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
            return Tensor.full(backend, DType.F32, name.endsWith("bias") ? 0 : 1, shape);
        }
        boolean residual = name.contains("o_proj") || name.contains("down_proj");
        return drawn(backend, seed, name, shape, residual ? deviation / Math.sqrt(2.0 * layers) : deviation);
    }

    /** A weight from N(0, {@code deviation}^2), its noise decided by seed and name. */
    public static Tensor drawn(Backend backend, long seed, String name, long[] shape, double deviation) {
        try (Scope scope = Scope.open()) {
            Tensor noise = Tensor.empty(backend, DType.F32, shape);
            backend.normal(noise, seed, stream(name));
            return scope.keep(Recording.off(() -> Var.constant(noise).mul(deviation)).tensor());
        }
    }

    private static long stream(String name) {
        CRC32 crc = new CRC32();
        crc.update(name.getBytes(StandardCharsets.UTF_8));
        return crc.getValue();
    }

    @Override
    public String origin() {
        return "fresh weights of seed " + seed;
    }
}
