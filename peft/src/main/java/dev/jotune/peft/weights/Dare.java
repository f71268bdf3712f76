package dev.jotune.peft.weights;

import dev.jotune.tensor.random.Philox;
import java.util.List;
import java.util.stream.IntStream;

/**
 * DARE: Language Models are Super Mario (Yu et al., arXiv 2311.03099): drop and rescale, {@code tau_i' = m_i tau_i / p} with
 * {@code m_i ~ Bernoulli(p)}, so that tau_i' is tau_i on average; then another combination, task arithmetic or TIES without trimming.
 *
 * @param density p, the share of the numbers that stay, in (0, 1]; the paper's drop rate is 1 - p
 * @param then what is made of what is left
 * @param masks which numbers stay
 */
public record Dare(double density, Combination then, Masks masks) implements Combination {
    /** The masks m. */
    @FunctionalInterface
    public interface Masks {
        /** Whether number {@code place} of vector {@code vector} stays. */
        boolean keeps(long stream, int vector, long place);
    }

    public Dare {
        if (!(density > 0 && density <= 1)) {
            throw new IllegalArgumentException("density is " + density + "; it is the share of numbers that are kept, in (0, 1].");
        }
    }

    /** With masks of counter-based noise: the same seed drops the same numbers, in whatever order they are read. */
    public static Dare random(double density, Combination then, long seed) {
        return new Dare(density, then,
                (stream, vector, place) -> Philox.uniformDouble(seed + vector, stream, place) < density);
    }

    @Override
    public Values of(List<Values> vectors, double[] weights, long stream) {
        List<Values> left = IntStream.range(0, vectors.size()).mapToObj(k -> Values.map(vectors.subList(k, k + 1), (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                out[i] = masks.keeps(stream, k, from + i) ? in[0][i] / density : 0;
            }
        })).toList();
        return then.of(left, weights, stream);
    }
}
