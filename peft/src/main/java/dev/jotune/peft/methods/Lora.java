package dev.jotune.peft.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.jotune.autograd.InPlace;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.Group;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * LoRA: Low-Rank Adaptation of Large Language Models (Hu et al., arXiv 2106.09685).
 *
 * <p>{@code W' = W + s B A} with {@code A [r, in]}, {@code B [out, r]} and {@code s = lora_alpha / r}; with
 * {@code use_rslora} {@code s = lora_alpha / sqrt(r)} (Kalajdzievski, arXiv 2312.03732). Trainable:
 * {@code r (in + out)} for each target.
 *
 * @param r rank
 * @param loraAlpha numerator of the scale
 * @param loraDropout on the input of A, while training
 * @param useDora magnitude and direction apart, see {@link Dora}: {@code out} more trainable for each target
 * @param targetModules which linear layers
 * @param excludeModules which of them not
 * @param rankPattern rank by regular expression tied to the end of the path
 * @param alphaPattern alpha likewise
 * @param layersToTransform only these layers; empty for all
 * @param layersPattern the name of the list of layers, if not the first numbered one
 * @param bias {@code none}, {@code all} or {@code lora_only}: which of the model's biases train along
 * @param loraBias a bias on B
 * @param initLoraWeights true: A Kaiming-uniform, B zero; {@code "gaussian"}: A normal with deviation 1 / r; false: both random;
 *     {@code "pissa"}, {@code "olora"}: parts of W, see {@link Removed}; {@code "orthogonal"}, {@code "eva"} and {@code "mica"}
 *     (which keeps B as it is) only when loading
 * @param trainableTokenIndices rows of the embeddings that are trained in place of the table's own: a list of tokens, or lists
 *     by table; null for none
 * @param ensureWeightTying whether a table named in {@code modules_to_save} by its whole path keeps its head tied
 * @param modulesToSave modules trained whole
 */
public record Lora(int r, double loraAlpha, double loraDropout, boolean useRslora, boolean useDora, Targets targetModules,
        Optional<Targets> excludeModules, Map<String, Integer> rankPattern, Map<String, Double> alphaPattern,
        List<Integer> layersToTransform, List<String> layersPattern, String bias, boolean loraBias,
        JsonNode initLoraWeights, JsonNode trainableTokenIndices, boolean ensureWeightTying, List<String> modulesToSave) implements TuningMethod {

    /** Starts of other making that leave the base model as it is: what was saved is plain LoRA. */
    private static final Set<String> LOADED = Set.of("orthogonal", "eva", "mica");

    /** Starts that take their directions away from W: see {@link Removed}. */
    private static final Set<String> REMOVING = Set.of("pissa", "olora");

    /** PEFT's defaults. */
    public static final Lora DEFAULTS = new Lora(8, 8, 0, false, false, Targets.DEFAULT, Optional.empty(), Map.of(),
            Map.of(), List.of(), List.of(), "none", false, BooleanNode.TRUE, NullNode.instance, false, List.of());

    private Lora with(int rank, double alpha, boolean dora, Targets targets, List<String> modules) {
        return new Lora(rank, alpha, loraDropout, useRslora, dora, targets, excludeModules, rankPattern, alphaPattern,
                layersToTransform, layersPattern, bias, loraBias, initLoraWeights, trainableTokenIndices, ensureWeightTying, modules);
    }

    public Lora withRank(int rank, double alpha) {
        return with(rank, alpha, useDora, targetModules, modulesToSave);
    }

    /** DoRA, with what else is said here. */
    public Lora withDora() {
        return with(r, loraAlpha, true, targetModules, modulesToSave);
    }

    /** Ranks and alphas of single layers. */
    public Lora withPatterns(Map<String, Integer> ranks, Map<String, Double> alphas) {
        return new Lora(r, loraAlpha, loraDropout, useRslora, useDora, targetModules, excludeModules, ranks, alphas, layersToTransform,
                layersPattern, bias, loraBias, initLoraWeights, trainableTokenIndices, ensureWeightTying, modulesToSave);
    }

    public Lora withTargets(Targets targets) {
        return with(r, loraAlpha, useDora, targets, modulesToSave);
    }

    @Override
    public Lora on(Backbone model) {
        return targetModules.isDefault() ? withTargets(Targets.of(model)) : this;
    }

    @Override
    public Lora withModulesToSave(List<String> modules) {
        return with(r, loraAlpha, useDora, targetModules, modules);
    }

    @Override
    public String peftType() {
        return "LORA";
    }

    @Override
    public void attachTo(Attachment a) {
        check(a.isLoading());
        if (!trainableTokenIndices.isEmpty()) {
            a.noteNoEmbeddings();
        }
        boolean tied = ensureWeightTying && a.model().seams().tables().values().stream()
                .anyMatch(t -> a.model().seams().readers(t.weight()).size() > 1 && a.model().seams().readers(t.weight()).stream()
                        .anyMatch(l -> targetModules.matches(l.path())));
        if (tied) {
            throw new AdapterException("ensure_weight_tying is true for embeddings that target_modules names: of the two adapters that it "
                    + "asks for, PEFT's files name one. Set it to false.");
        }
        List<LinearLayer> targets = a.modules(targetModules, excludeModules, layersToTransform, layersPattern);
        for (LinearLayer layer : targets) {
            if (a.isTable(layer)) {
                onTable(a, layer);
                continue;
            }
            int rank = rank(layer.path());
            if (rank <= 0) {
                throw new AdapterException("rank_pattern gives " + layer.path() + " the rank " + rank + "; it must be positive.");
            }
            String key = Attachment.key(layer.path());
            double scale = scale(layer.path());
            Optional<Removed> removed = REMOVING.contains(start())
                    ? Optional.of(Removed.of(start(), layer, rank, scale, a.model().computeType())) : Optional.empty();
            Var down = a.trainable(key + ".lora_A.weight", removed.map(p -> Init.copyOf(p.a().tensor())).orElse(startOfA(rank)), rank, layer.in());
            // MiCA trains A alone.
            Var up = start().equals("mica") ? a.fixed(key + ".lora_B.weight", layer.out(), rank)
                    : a.trainable(key + ".lora_B.weight", removed.map(p -> Init.copyOf(p.b().tensor())).orElse(startOfB()), layer.out(), rank);
            Optional<Var> upBias = loraBias ? Optional.of(a.trainable(key + ".lora_B.bias", Init.ZEROS, layer.out())) : Optional.empty();
            Projection factors = useDora ? dora(a, layer, new Dora(layer, new Dora.Direction(down, up, scale), loraDropout))
                    : new Factors(down, up, upBias, scale, loraDropout);
            a.project(layer, removed.map(p -> p.under(factors)).orElse(factors));
        }
        a.biases(bias, "lora_only", targets);
        TokenRows.of(a, trainableTokenIndices);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED, ensureWeightTying);
    }

    /** On a table of embeddings A starts at 0 and B at random, whatever the start. */
    private void onTable(Attachment a, LinearLayer table) {
        if (loraBias) {
            throw new AdapterException("lora_bias is true, which " + table.path() + ", a table of embeddings, has no place for. "
                    + "Set it to false, or name other target_modules.");
        }
        boolean random = initLoraWeights.isBoolean() && !initLoraWeights.booleanValue();
        String key = Attachment.key(table.path());
        Var rows = a.trainable(key + ".lora_embedding_A", random ? Init.normal(1) : Init.ZEROS, rank(table.path()), table.in());
        Var up = start().equals("mica") ? a.fixed(key + ".lora_embedding_B", table.out(), rank(table.path()))
                : a.trainable(key + ".lora_embedding_B", Init.normal(1), table.out(), rank(table.path()));
        double scale = scale(table.path());
        a.project(table, useDora ? dora(a, table, new Dora(table, new Dora.Direction(rows, up, scale), loraDropout))
                : new RowFactors(rows, up, scale));
    }

    private static Dora dora(Attachment a, LinearLayer layer, Dora dora) {
        Group bare = Group.all(List.of());
        return dora.with(a.trainable(Attachment.key(layer.path()) + ".lora_magnitude_vector",
                Init.of(() -> dora.norm(layer, bare, true).tensor()), layer.out()));
    }

    @Override
    public String changesAtStart() {
        return start().equals("false") ? "init_lora_weights false starts A and B at random" : "";
    }

    /** The rank at a layer. */
    public int rank(String path) {
        return pattern(rankPattern, path).orElse(r);
    }

    /** The factor s of {@code B A} at a layer. */
    public double scale(String path) {
        double alpha = pattern(alphaPattern, path).orElse(loraAlpha);
        return useRslora ? alpha / Math.sqrt(rank(path)) : alpha / rank(path);
    }

    /** What {@code init_lora_weights} says, as a text. */
    private String start() {
        return initLoraWeights.asText();
    }

    private void check(boolean loading) {
        if (r <= 0) {
            throw new AdapterException("r is " + r + "; the rank must be a positive integer.");
        }
        if (!(loraDropout >= 0 && loraDropout < 1)) {
            throw new AdapterException("lora_dropout is " + loraDropout + "; it must lie in [0, 1).");
        }
        if (useDora && loraBias) {
            throw new AdapterException("lora_bias is true, which use_dora does not take. Set one of the two to false.");
        }
        boolean known = initLoraWeights.isBoolean() || initLoraWeights.isTextual() && (start().equals("gaussian") || REMOVING.contains(start()));
        if (!known && !(initLoraWeights.isTextual() && LOADED.contains(start()))) {
            throw new AdapterException("init_lora_weights " + initLoraWeights + " is not supported: such adapters change the base "
                    + "model's weights by what their files do not hold. Supported: true, false, \"gaussian\", \"pissa\", \"olora\". Convert "
                    + "the adapter to plain LoRA first.");
        }
        if (useDora && REMOVING.contains(start())) {
            throw new AdapterException("init_lora_weights " + initLoraWeights + " is not supported with use_dora. Set one of the two otherwise.");
        }
        if (!known && !loading) {
            throw new AdapterException("init_lora_weights " + initLoraWeights + " is known for adapters that were saved, not for "
                    + "new ones. Start with true, false, \"gaussian\", \"pissa\" or \"olora\".");
        }
    }

    private Init startOfA(int rank) {
        return initLoraWeights.isTextual() ? Init.normal(1.0 / rank) : Init.KAIMING;
    }

    private Init startOfB() {
        return initLoraWeights.isBoolean() && !initLoraWeights.booleanValue() ? Init.KAIMING : Init.ZEROS;
    }

    private static <T> Optional<T> pattern(Map<String, T> patterns, String path) {
        return patterns.entrySet().stream().filter(e -> Targets.endMatches(e.getKey(), path)).map(Map.Entry::getValue).findFirst();
    }

    /** The factors of one layer. */
    private record Factors(Var a, Var b, Optional<Var> bias, double scale, double dropout) implements Projection {
        /** {@code y = W x + B (s A) x}: two thin products instead of W', the second added where the first lies. */
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            Var sum = InPlace.addMatmul(inner.apply(x), Linear.apply(dropped(x, layer, pass), a.mul(scale)), b);
            return bias.isPresent() ? sum.addScaled(bias.get(), scale) : sum;
        }

        /** {@code s B A} of one x: the base layer's own product takes it along. */
        @Override
        public Optional<Terms.LowRank> lowRank(Var x, LinearLayer layer, Pass pass) {
            return bias.isEmpty() ? Optional.of(new Terms.LowRank(dropped(x, layer, pass), a, b, scale)) : Optional.empty();
        }

        private Var dropped(Var x, LinearLayer layer, Pass pass) {
            return pass.training() ? Dropout.apply(x, dropout, pass.seed(), pass.stream(layer.path())) : x;
        }

        /** {@code W' = W + s B A}. */
        @Override
        public Var weight(Var w) {
            return w.addScaled(b.matmul(a), scale);
        }

        @Override
        public Var bias(Var base) {
            if (bias.isEmpty()) {
                return base;
            }
            Var own = bias.get().mul(scale);
            return base == null ? own : base.add(own);
        }
    }
}
