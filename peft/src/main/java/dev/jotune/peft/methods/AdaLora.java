package dev.jotune.peft.methods;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.Targets;
import dev.jotune.peft.TuningMethod;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning (Zhang et al., arXiv 2303.10512).
 *
 * <p>{@code W' = W + s P diag(e) Q} (equation 3), in PEFT's names {@code B [out, r]}, {@code E [r, 1]} and {@code A [r, in]} with
 * {@code s = lora_alpha / (init_r + 1e-5)}; the loss holds P and Q near orthogonality. While it trains, a {@link RankAllocator}
 * takes the least important triplets away. Trainable: {@code init_r (in + out + 1)} for each target; saved is what is left.
 *
 * @param r noted; PEFT has no use for it here
 * @param initR rank of each target at the start
 * @param targetR mean rank of the targets at the end
 * @param tinit updates before the first triplet is taken
 * @param tfinal updates after the last one was
 * @param deltaT updates between two decisions
 * @param beta1 smoothing of the importance
 * @param beta2 smoothing of its uncertainty
 * @param orthRegWeight of the orthogonal regulariser
 * @param totalStep updates of the whole run
 * @param rankPattern which triplets were kept, by target, of an adapter that was trained
 * @param loraAlpha numerator of the scale
 * @param loraDropout on the input of A, while training
 * @param targetModules which linear layers
 * @param excludeModules which of them not
 * @param layersToTransform only these layers; empty for all
 * @param layersPattern the name of the list of layers, if not the first numbered one
 * @param bias {@code none}, {@code all} or {@code lora_only}: which of the model's biases train along
 * @param initLoraWeights false: all three factors start at random, and not with e at 0
 * @param trainableTokenIndices see {@link Lora}
 * @param modulesToSave modules trained whole
 */
public record AdaLora(int r, int initR, int targetR, int tinit, int tfinal, @JsonProperty("deltaT") int deltaT, double beta1,
        double beta2, double orthRegWeight, int totalStep, Map<String, List<Boolean>> rankPattern, double loraAlpha,
        double loraDropout, Targets targetModules, Optional<Targets> excludeModules, List<Integer> layersToTransform,
        List<String> layersPattern, String bias, boolean initLoraWeights, JsonNode trainableTokenIndices,
        List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults; {@code total_step} must be given. */
    public static final AdaLora DEFAULTS = new AdaLora(8, 12, 8, 0, 0, 1, 0.85, 0.85, 0.5, 0, Map.of(), 8, 0, Targets.DEFAULT,
            Optional.empty(), List.of(), List.of(), "none", true, NullNode.instance, List.of());

    private AdaLora with(Map<String, List<Boolean>> pattern, Targets targets, List<String> modules) {
        return new AdaLora(r, initR, targetR, tinit, tfinal, deltaT, beta1, beta2, orthRegWeight, totalStep, pattern, loraAlpha,
                loraDropout, targets, excludeModules, layersToTransform, layersPattern, bias, initLoraWeights, trainableTokenIndices, modules);
    }

    @Override
    public String peftType() {
        return "ADALORA";
    }

    @Override
    public AdaLora on(Backbone model) {
        return !targetModules.isDefault() ? this : with(rankPattern, switch (model.modelType()) {
            case "t5" -> Targets.of("q", "k", "v", "o", "wi", "wo");
            case "bart" -> Targets.of("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2");
            case "roberta" -> Targets.of("query", "key", "value", "dense");
            case "deberta-v2" -> Targets.of("query_proj", "key_proj", "value_proj", "dense");
            default -> Targets.of(model);
        }, modulesToSave);
    }

    @Override
    public AdaLora withModulesToSave(List<String> modules) {
        return with(rankPattern, targetModules, modules);
    }

    @Override
    public String changesAtStart() {
        return initLoraWeights ? "" : "init_lora_weights false starts all factors at random";
    }

    @Override
    public void attachTo(Attachment a) {
        check(a.isLoading());
        List<LinearLayer> targets = a.linears(targetModules, excludeModules, layersToTransform, layersPattern);
        List<Triplets> all = new ArrayList<>();
        Init noise = Init.normal(initLoraWeights ? 0.02 : 1);
        double scale = (loraAlpha > 0 ? loraAlpha : initR) / (initR + 1e-5);
        for (LinearLayer layer : targets) {
            List<Boolean> kept = rankPattern.get(layer.path() + ".lora_E");
            long rank = kept == null ? initR : kept.stream().filter(k -> k).count();
            if (rank == 0) {
                Triplets.none(a, layer);
                continue;
            }
            Triplets t = Triplets.of(a, layer, rank, noise, initLoraWeights ? Init.ZEROS : noise);
            all.add(t);
            a.project(layer, new Svd(t, scale, loraDropout));
        }
        RankAllocator allocator = new RankAllocator(this, all);
        a.eachStep(allocator);
        a.savedAs(() -> allocator.pattern().map(p -> with(p, targetModules, modulesToSave)).orElse(this));
        a.biases(bias, "lora_only", targets);
        TokenRows.of(a, trainableTokenIndices);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    private void check(boolean loading) {
        Require.positive("init_r", initR);
        Require.that(targetR > 0 && (loading || targetR <= initR), "target_r is " + targetR + "; it must lie between 1 and init_r, " + initR + ".");
        Require.that(deltaT > 0, "deltaT is " + deltaT + "; it must be a positive number of updates.");
        Require.that(totalStep > 0, "total_step is " + totalStep + "; AdaLoRA needs to know how many updates the run makes. Give their number.");
        Require.that(tinit >= 0 && tfinal >= 0 && tinit < totalStep - tfinal, "tinit " + tinit + " and tfinal " + tfinal + " leave none of "
                + totalStep + " updates to take ranks away. Lower them, or raise total_step.");
        Require.that(beta1 > 0 && beta1 < 1 && beta2 > 0 && beta2 < 1, "beta1 is " + beta1 + " and beta2 is " + beta2
                + "; both must lie between 0 and 1.");
        Require.that(orthRegWeight >= 0, "orth_reg_weight is " + orthRegWeight + "; it must be 0 or more.");
        Require.dropout("lora_dropout", loraDropout);
    }

    /** The triplets of one layer: {@link LoraFactors} whose A is {@code diag(e) Q} as it is now. */
    private record Svd(Triplets of, double scale, double dropout) implements Projection {
        private LoraFactors factors() {
            return new LoraFactors(of.a().mul(of.e()), of.b(), Optional.empty(), scale, dropout);
        }

        /** {@code y = W x + s B (e * (A x))}. */
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return factors().forward(x, inner, layer, pass);
        }

        @Override
        public Optional<Terms.LowRank> lowRank(Var x, LinearLayer layer, Pass pass) {
            return factors().lowRank(x, layer, pass);
        }

        /** {@code W' = W + s B diag(e) A}. */
        @Override
        public Var weight(Var w) {
            return factors().weight(w);
        }
    }
}
