package dev.jotune.peft.steps;

import dev.jotune.autograd.optim.TrainableSelector;
import dev.jotune.tensor.random.Philox;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * LISA: Layerwise Importance Sampling for Memory-Efficient Large Language Model Fine-Tuning (Pan et al., arXiv 2403.17919,
 * algorithm 1): every {@code interval} steps, the first included, {@code activeLayers} of the L blocks are drawn uniformly without
 * replacement; they train, and with them always what belongs to no block: embedding, head, final norm. A block thus trains with
 * probability {@code gamma / L}, all else with 1. Blocks that are frozen again have no gradient, and the optimiser forgets its
 * moments, which is what saves memory. The draw follows from (seed, step), so a run that goes on draws the same.
 *
 * <p>A block is what stands in a name before the last part of its number: {@code model.layers.3} of
 * {@code base_model.model.model.layers.3.mlp.up_proj.weight}.
 *
 * @param activeLayers gamma, blocks that train at a time; as many as there are, if that is fewer
 * @param interval K, steps between draws
 * @param seed of the draws
 */
public record Lisa(int activeLayers, int interval, long seed) implements TrainableSelector {
    private static final Pattern BLOCK = Pattern.compile("^(?:.*?\\.)??((?:\\w+\\.)*?(?:layers|layer|h|blocks|block)\\.\\d+)\\.");

    /** @throws IllegalArgumentException for no block, or no step */
    public Lisa {
        if (activeLayers < 1 || interval < 1) {
            throw new IllegalArgumentException("LISA with " + activeLayers + " active layers for " + interval
                    + " steps is not possible. Give at least 1 of both, such as 2 and 20.");
        }
    }

    /** The paper's: two blocks for twenty steps. */
    public static Lisa withSeed(long seed) {
        return new Lisa(2, 20, seed);
    }

    private static Optional<String> block(String name) {
        Matcher m = BLOCK.matcher(name);
        return m.find() ? Optional.of(m.group(1)) : Optional.empty();
    }

    /**
     * @throws IllegalArgumentException if nothing is called after a block
     */
    @Override
    public Set<String> select(long step, Collection<String> names) {
        List<String> blocks = names.stream().flatMap(n -> block(n).stream()).distinct().toList();
        if (blocks.isEmpty()) {
            throw new IllegalArgumentException("LISA draws from blocks, and what trains belongs to none: "
                    + String.join(", ", names.stream().limit(3).toList()) + ". Use a method that trains weights of blocks, such as full.");
        }
        int[] order = Philox.permutation(seed, step / interval, blocks.size());
        Set<String> drawn = new LinkedHashSet<>();
        for (int i = 0; i < Math.min(activeLayers, order.length); i++) {
            drawn.add(blocks.get(order[i]));
        }
        return new LinkedHashSet<>(names.stream().flatMap(n -> block(n).stream().allMatch(drawn::contains) ? Stream.of(n) : Stream.empty()).toList());
    }
}
