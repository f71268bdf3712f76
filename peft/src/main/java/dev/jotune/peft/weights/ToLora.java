package dev.jotune.peft.weights;

import dev.jotune.autograd.Recording;
import dev.jotune.autograd.Var;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Projection;
import dev.jotune.peft.Adapter;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.AdapterFiles;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Targets;
import dev.jotune.peft.methods.Lora;
import dev.jotune.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SequencedMap;
import java.util.function.ToIntFunction;

/**
 * An adapter that changes weights, as LoRA: {@code B A} is the nearest of its rank to {@code W' - W}, layer by layer, with
 * {@code B = U S} and {@code A = V^T}. What runs LoRA then runs it, and what is saved is PEFT's file.
 */
public final class ToLora {
    private ToLora() {}

    /**
     * Of one rank.
     *
     * @throws AdapterException if the adapter does more than change weights, or a layer has fewer directions
     */
    public static AdapterFiles.Contents ofRank(Adapter adapter, int rank) {
        if (rank <= 0) {
            throw new AdapterException("the new rank is " + rank + "; it must be positive.");
        }
        return convert(adapter, rank, _ -> rank);
    }

    /**
     * Of the least ranks that keep a share of the squared singular values of every layer's change.
     *
     * @param share above 0, at most 1
     * @throws AdapterException as {@link #ofRank}, or for another share
     */
    public static AdapterFiles.Contents ofEnergy(Adapter adapter, double share) {
        if (!(share > 0 && share <= 1)) {
            throw new AdapterException("the share of energy is " + share + "; it must be above 0 and at most 1.");
        }
        return convert(adapter, 1, delta -> delta.rankOf(share));
    }

    private static AdapterFiles.Contents convert(Adapter adapter, int rank, ToIntFunction<Factor> rankOf) {
        if (!adapter.canMerge() || !adapter.hooks().overrides().isEmpty() || !adapter.hooks().taps().isEmpty()) {
            throw new AdapterException(adapter.name() + " (" + adapter.method().peftType() + ") does more than change weights of linear layers, "
                    + "which LoRA has no place for. Keep it as it is.");
        }
        SequencedMap<String, Tensor> out = new LinkedHashMap<>();
        Map<String, Integer> ranks = new LinkedHashMap<>();
        Map<String, Double> alphas = new LinkedHashMap<>();
        for (Map.Entry<String, Projection> e : adapter.hooks().projections().entrySet()) {
            LinearLayer layer = adapter.model().seams().projections().get(e.getKey());
            if (layer == null) {
                throw new AdapterException(adapter.name() + " changes " + e.getKey() + ", a table of embeddings; only linear layers are converted.");
            }
            Factor delta = Factor.of(Recording.off(() -> change(e.getValue(), layer)));
            int r = rankOf.applyAsInt(delta);
            if (r > Math.min(delta.rows(), delta.columns())) {
                throw new AdapterException("the new rank is " + r + ", more than " + e.getKey() + " [" + delta.rows() + ", " + delta.columns()
                        + "] has. Choose a smaller one.");
            }
            List<Factor> parts = delta.decomposed(r, OptionalDouble.empty());
            out.put(Attachment.key(e.getKey()) + ".lora_A.weight", parts.get(0).tensor());
            out.put(Attachment.key(e.getKey()) + ".lora_B.weight", parts.get(1).tensor());
            if (r != rank) {
                ranks.put(e.getKey(), r);
                alphas.put(e.getKey(), (double) r);
            }
        }
        Lora lora = Lora.DEFAULTS.withRank(rank, rank).withTargets(Targets.of(adapter.hooks().projections().keySet().toArray(String[]::new)));
        return new AdapterFiles.Contents(lora.withPatterns(ranks, alphas), out);
    }

    private static Tensor change(Projection p, LinearLayer layer) {
        if (layer.bias().isPresent() && p.bias(layer.bias().get().base()) != layer.bias().get().base()
                || layer.bias().isEmpty() && p.bias(null) != null) {
            throw new AdapterException("the adapter changes the bias of " + layer.path() + ", which LoRA has no place for. Keep it as it is.");
        }
        Var w = layer.oriented(layer.weight().base());
        return p.weight(w).sub(w).tensor().contiguous();
    }
}
