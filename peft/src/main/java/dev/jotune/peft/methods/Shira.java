package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.SparseLinear;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TorchRandom;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.kernels.SparsePattern;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * SHiRA: Sparse High Rank Adapters (Bhardwaj et al., arXiv 2406.13175).
 *
 * <p>{@code W' = W + S}: a few numbers of the weight are changed, at places fixed at the start and stored in the file. The
 * change is applied as a sparse product, {@code y = W x + S x}. It starts at 0. Trainable: {@code r (in + out)} for each
 * target, as many as LoRA of rank r has; S may have any rank.
 *
 * @param r sets how many numbers change
 * @param maskType how the places are chosen: {@code random}; another word only when loading, for the file holds them
 * @param randomSeed of the places, which are then those that PyTorch draws; by default the adapter's own seed
 * @param targetModules which linear layers
 * @param initWeights false: starts normal
 * @param modulesToSave modules trained whole
 */
public record Shira(int r, String maskType, Optional<Long> randomSeed, Targets targetModules, boolean initWeights,
        List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults. */
    public static final Shira DEFAULTS = new Shira(32, "random", Optional.empty(), Targets.DEFAULT, true, List.of());

    @Override
    public String peftType() {
        return "SHIRA";
    }

    @Override
    public Shira on(Backbone model) {
        return !targetModules.isDefault() ? this
                : new Shira(r, maskType, randomSeed, Targets.of(model), initWeights, modulesToSave);
    }

    @Override
    public Shira withModulesToSave(List<String> modules) {
        return new Shira(r, maskType, randomSeed, targetModules, initWeights, modules);
    }

    @Override
    public String changesAtStart() {
        return initWeights ? "" : "init_weights false starts with a random change";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("r", r);
        if (!maskType.equals("random") && !a.isLoading()) {
            throw new AdapterException("mask_type is '" + maskType + "', which is known for adapters that were saved, not for new ones. "
                    + "Set it to random.");
        }
        for (LinearLayer layer : a.linears(targetModules, Optional.empty(), List.of(), List.of())) {
            long count = r * (layer.in() + layer.out());
            if (count > layer.in() * layer.out()) {
                throw new AdapterException("r = " + r + " asks for " + count + " numbers of " + layer.path() + ", more than the "
                        + layer.in() * layer.out() + " that it has. Lower r.");
            }
            String key = Attachment.key(layer.path());
            Var values = a.trainable(key + ".shira_weight", initWeights ? Init.ZEROS : Init.normal(1), count);
            long[][] places = a.integers(key + ".shira_indices", () -> places(a.seed(), layer, count),
                    new long[] {layer.out(), layer.in()}, count);
            a.project(layer, new Change(values, SparsePattern.of(layer.out(), layer.in(), places[0], places[1])));
        }
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    /** Different places, row by row. PEFT gives every layer a generator of its own with the same seed. */
    private long[][] places(long seed, LinearLayer layer, long count) {
        long own = randomSeed.orElse(seed + layer.path().hashCode());
        long[] flat = new TorchRandom(own).permutation(layer.out() * layer.in(), Math.toIntExact(count));
        Arrays.sort(flat);
        return new long[][] {Arrays.stream(flat).map(i -> i / layer.in()).toArray(), Arrays.stream(flat).map(i -> i % layer.in()).toArray()};
    }

    /**
     * The change of one layer.
     *
     * @param values {@code [K]}
     * @param pattern where they stand in {@code [out, in]}
     */
    private record Change(Var values, SparsePattern pattern) implements Projection {
        /** {@code y = W x + S x}. */
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return inner.apply(x).add(SparseLinear.apply(x, values, pattern));
        }

        /** {@code W' = W + S}. */
        @Override
        public Var weight(Var w) {
            return w.add(SparseLinear.dense(values, pattern));
        }
    }
}
