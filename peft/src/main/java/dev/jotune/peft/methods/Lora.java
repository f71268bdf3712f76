package dev.jotune.peft.methods;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * LoRA: Low-Rank Adaptation of Large Language Models (Hu et al., arXiv 2106.09685).
 *
 * <p>{@code W' = W + s B A} with {@code A [r, in]}, {@code B [out, r]} and {@code s = lora_alpha / r}; with
 * {@code use_rslora} {@code s = lora_alpha / sqrt(r)} (Kalajdzievski, arXiv 2312.03732). Trainable:
 * {@code r (in + out)} for each target. {@link LoraFactors} computes it.
 *
 * @param r rank
 * @param loraAlpha numerator of the scale
 * @param loraDropout on the input of A, while training
 * @param useDora magnitude and direction apart, see {@link Dora}: {@code out} more trainable for each target
 * @param targetModules which linear layers
 * @param excludeModules which of them not
 * @param targetParameters weights by how their names end, beside modules: see {@link ParameterFactors}
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
 * @param ensureWeightTying whether a table named in {@code modules_to_save} or {@code target_modules} keeps its head tied
 * @param modulesToSave modules trained whole
 */
public record Lora(int r, double loraAlpha, double loraDropout, boolean useRslora, boolean useDora, Targets targetModules,
        Optional<Targets> excludeModules, List<String> targetParameters, Map<String, Integer> rankPattern,
        Map<String, Double> alphaPattern, List<Integer> layersToTransform, List<String> layersPattern, String bias, boolean loraBias,
        JsonNode initLoraWeights, JsonNode trainableTokenIndices, boolean ensureWeightTying, List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults. */
    public static final Lora DEFAULTS = new Lora(8, 8, 0, false, false, Targets.DEFAULT, Optional.empty(), List.of(),
            Map.of(), Map.of(), List.of(), List.of(), "none", false, BooleanNode.TRUE, NullNode.instance, false, List.of());

    private Lora with(int rank, double alpha, boolean dora, Targets targets, List<String> modules) {
        return new Lora(rank, alpha, loraDropout, useRslora, dora, targets, excludeModules, targetParameters, rankPattern, alphaPattern,
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
        return new Lora(r, loraAlpha, loraDropout, useRslora, useDora, targetModules, excludeModules, targetParameters, ranks, alphas,
                layersToTransform, layersPattern, bias, loraBias, initLoraWeights, trainableTokenIndices, ensureWeightTying, modulesToSave);
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
        check(a);
        if (!trainableTokenIndices.isEmpty()) {
            a.noteNoEmbeddings();
        }
        boolean alone = !targetParameters.isEmpty() && targetModules.equals(Targets.of());
        List<LinearLayer> targets = alone ? List.of() : a.modules(targetModules, excludeModules, layersToTransform, layersPattern);
        List<LinearLayer> tied = targets.stream().flatMap(layer -> TurnedFactors.heads(a, this, layer).stream()).toList();
        targets.stream().filter(layer -> !tied.contains(layer)).forEach(layer -> a.project(layer, factors(a, layer)));
        ParameterFactors.attachTo(a, this, targets);
        a.biases(bias, "lora_only", targets);
        TokenRows.of(a, trainableTokenIndices);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED, ensureWeightTying);
    }

    private Projection factors(Attachment a, LinearLayer layer) {
        String path = layer.path();
        boolean table = a.isTable(layer);
        Require.that(rank(path) > 0, "rank_pattern gives " + path + " the rank " + rank(path) + "; it must be positive.");
        Require.that(!table || !loraBias, "lora_bias is true, which " + path + ", a table of embeddings, has no place for. "
                + "Set it to false, or name other target_modules.");
        double scale = scale(path);
        LoraStart.Factors f = start().factors(a, layer, rank(path), scale);
        TurnedFactors.heads(a, this, layer).forEach(head -> TurnedFactors.follow(a, head, f, scale(head.path())));
        Optional<Var> upBias = loraBias ? Optional.of(a.trainable(Attachment.key(path) + ".lora_B.bias", Init.ZEROS, layer.out())) : Optional.empty();
        Projection own = useDora ? Dora.on(a, layer, new Dora.Direction(f.a(), f.b(), scale), loraDropout)
                : table ? new RowFactors(f.a(), f.b(), scale) : new LoraFactors(f.a(), f.b(), upBias, scale, loraDropout);
        return f.removed().map(p -> p.under(own)).orElse(own);
    }

    @Override
    public String changesAtStart() {
        return start().changes();
    }

    /** The rank at a layer. */
    public int rank(String path) {
        return Targets.valueAt(path, rankPattern).orElse(r);
    }

    /** The factor s of {@code B A} at a layer. */
    public double scale(String path) {
        double alpha = Targets.valueAt(path, alphaPattern).orElse(loraAlpha);
        return useRslora ? alpha / Math.sqrt(rank(path)) : alpha / rank(path);
    }

    LoraStart start() {
        return new LoraStart(initLoraWeights);
    }

    private void check(Attachment a) {
        Require.positive("r", r);
        Require.dropout("lora_dropout", loraDropout);
        Require.that(!useDora || !loraBias, "lora_bias is true, which use_dora does not take. Set one of the two to false.");
        start().check(useDora, a.isLoading());
    }
}
