package dev.jotune.peft.methods;

import com.fasterxml.jackson.annotation.JsonProperty;
import dev.jotune.autograd.InPlace;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Dropout;
import dev.jotune.autograd.ops.Linear;
import dev.jotune.autograd.ops.Terms;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
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
 * @param modulesToSave modules trained whole
 */
public record AdaLora(int r, int initR, int targetR, int tinit, int tfinal, @JsonProperty("deltaT") int deltaT, double beta1,
        double beta2, double orthRegWeight, int totalStep, Map<String, List<Boolean>> rankPattern, double loraAlpha,
        double loraDropout, Targets targetModules, Optional<Targets> excludeModules, List<Integer> layersToTransform,
        List<String> layersPattern, String bias, boolean initLoraWeights, List<String> modulesToSave) implements TuningMethod {

    /** PEFT's defaults; {@code total_step} must be given. */
    public static final AdaLora DEFAULTS = new AdaLora(8, 12, 8, 0, 0, 1, 0.85, 0.85, 0.5, 0, Map.of(), 8, 0, Targets.DEFAULT,
            Optional.empty(), List.of(), List.of(), "none", true, List.of());

    private AdaLora with(Map<String, List<Boolean>> pattern, Targets targets, List<String> modules) {
        return new AdaLora(r, initR, targetR, tinit, tfinal, deltaT, beta1, beta2, orthRegWeight, totalStep, pattern, loraAlpha,
                loraDropout, targets, excludeModules, layersToTransform, layersPattern, bias, initLoraWeights, modules);
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
        List<RankAllocator.Triplets> all = new ArrayList<>();
        Init noise = Init.normal(initLoraWeights ? 0.02 : 1);
        double scale = (loraAlpha > 0 ? loraAlpha : initR) / (initR + 1e-5);
        for (LinearLayer layer : targets) {
            String key = Attachment.key(layer.path());
            List<Boolean> kept = rankPattern.get(layer.path() + ".lora_E");
            long rank = kept == null ? initR : kept.stream().filter(k -> k).count();
            if (rank == 0) {
                a.fixed(key + ".lora_A", Init.ZEROS, 0, layer.in());
                a.fixed(key + ".lora_B", Init.ZEROS, layer.out(), 0);
                a.fixed(key + ".lora_E", Init.ZEROS, 0, 1);
                continue;
            }
            var triplets = new RankAllocator.Triplets(layer.path(), a.trainable(key + ".lora_A", noise, rank, layer.in()),
                    a.trainable(key + ".lora_B", noise, layer.out(), rank),
                    a.trainable(key + ".lora_E", initLoraWeights ? Init.ZEROS : noise, rank, 1));
            all.add(triplets);
            a.project(layer, new Svd(triplets.a(), triplets.b(), triplets.e(), scale, loraDropout));
        }
        RankAllocator allocator = new RankAllocator(this, all);
        a.eachStep(allocator);
        // What was taken away is neither in the file nor in the shapes that its configuration states.
        all.forEach(t -> {
            a.export(t.key("lora_A"), () -> allocator.left(t, t.a(), 0));
            a.export(t.key("lora_B"), () -> allocator.left(t, t.b(), 1));
            a.export(t.key("lora_E"), () -> allocator.left(t, t.e(), 0));
        });
        a.savedAs(() -> allocator.pattern().map(p -> with(p, targetModules, modulesToSave)).orElse(this));
        a.biases(bias, "lora_only", targets);
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    private void check(boolean loading) {
        require(initR > 0, "init_r is " + initR + "; it must be a positive integer.");
        require(targetR > 0 && (loading || targetR <= initR), "target_r is " + targetR + "; it must lie between 1 and init_r, " + initR + ".");
        require(deltaT > 0, "deltaT is " + deltaT + "; it must be a positive number of updates.");
        require(totalStep > 0, "total_step is " + totalStep + "; AdaLoRA needs to know how many updates the run makes. Give their number.");
        require(tinit >= 0 && tfinal >= 0 && tinit < totalStep - tfinal, "tinit " + tinit + " and tfinal " + tfinal + " leave none of "
                + totalStep + " updates to take ranks away. Lower them, or raise total_step.");
        require(beta1 > 0 && beta1 < 1 && beta2 > 0 && beta2 < 1, "beta1 is " + beta1 + " and beta2 is " + beta2
                + "; both must lie between 0 and 1.");
        require(orthRegWeight >= 0, "orth_reg_weight is " + orthRegWeight + "; it must be 0 or more.");
        require(loraDropout >= 0 && loraDropout < 1, "lora_dropout is " + loraDropout + "; it must lie in [0, 1).");
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new AdapterException(otherwise);
        }
    }

    /** The triplets of one layer, {@code a [r, in]}, {@code b [out, r]}, {@code e [r, 1]}. */
    private record Svd(Var a, Var b, Var e, double scale, double dropout) implements Projection {
        /** {@code y = W x + s B (e * (A x))}. */
        @Override
        public Var forward(Var x, UnaryOperator<Var> inner, LinearLayer layer, Pass pass) {
            return InPlace.addMatmul(inner.apply(x), Linear.apply(dropped(x, layer, pass), a.mul(e).mul(scale)), b);
        }

        @Override
        public Optional<Terms.LowRank> lowRank(Var x, LinearLayer layer, Pass pass) {
            return Optional.of(new Terms.LowRank(dropped(x, layer, pass), a.mul(e), b, scale));
        }

        private Var dropped(Var x, LinearLayer layer, Pass pass) {
            return pass.training() ? Dropout.apply(x, dropout, pass.seed(), pass.stream(layer.path())) : x;
        }

        /** {@code W' = W + s B diag(e) A}. */
        @Override
        public Var weight(Var w) {
            return w.add(b.matmul(a.mul(e)).mul(scale));
        }
    }
}
