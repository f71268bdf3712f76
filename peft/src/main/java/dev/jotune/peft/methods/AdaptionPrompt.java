package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.Backbone;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionStep;
import dev.jotune.models.seam.GatedSegment;
import dev.jotune.models.seam.KeysAndValues;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * LLaMA-Adapter: Efficient Fine-tuning of Language Models with Zero-init Attention (Zhang et al., arXiv 2303.16199), in
 * PEFT's form.
 *
 * <p>Each of the last L attentions reads n trainable states {@code P_l [1, n, C]} beside the text, through its own frozen
 * projections and without positions, {@code K_p = W_k P_l}, {@code V_p = W_v P_l}, with a softmax of their own:
 * {@code o = softmax(q K^T) V + g_l softmax(q K_p^T) V_p}. The gate g_l starts at 0, so training begins at the model as it is.
 * Trainable: {@code L (n C + 1)}.
 *
 * <p>The paper has a gate for each head and passes it through tanh; PEFT has one for each layer, as it is. On GPT-2 PEFT adds
 * the states' output behind the output projection, {@code y = W_o o + g_l softmax(q K_p^T) V_p}, and so does this.
 *
 * @param targetModules how the paths of the attentions end; absent: all of the model
 * @param adapterLen n
 * @param adapterLayers L, counted from the top; absent: all
 */
public record AdaptionPrompt(Optional<String> targetModules, int adapterLen, Optional<Integer> adapterLayers) implements TuningMethod {
    public static final AdaptionPrompt DEFAULTS = new AdaptionPrompt(Optional.empty(), 10, Optional.empty());

    public AdaptionPrompt withTokens(int n) {
        return new AdaptionPrompt(targetModules, n, adapterLayers);
    }

    public AdaptionPrompt withLayers(int layers) {
        return new AdaptionPrompt(targetModules, adapterLen, Optional.of(layers));
    }

    @Override
    public String peftType() {
        return "ADAPTION_PROMPT";
    }

    /** With the name of the model's attentions and their number, which PEFT wants to be told. */
    @Override
    public AdaptionPrompt on(Backbone model) {
        List<AttentionSite> all = model.seams().attentions();
        if (all.isEmpty()) {
            return this;
        }
        String path = all.getLast().path();
        String name = targetModules.orElse(path.substring(path.lastIndexOf('.') + 1));
        return new AdaptionPrompt(Optional.of(name), adapterLen, Optional.of(adapterLayers.orElse(all.size())));
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("adapter_len", adapterLen);
        List<AttentionSite> all = readable(a.model());
        String name = targetModules.orElseThrow();
        List<AttentionSite> named = all.stream().filter(s -> s.path().endsWith("." + name)).toList();
        int layers = adapterLayers.orElseThrow();
        if (named.isEmpty()) {
            throw new AdapterException("target_modules '" + name + "' is the end of no attention's path. Those of this model end like "
                    + all.getFirst().path() + ".");
        }
        if (layers <= 0 || layers > named.size()) {
            throw new AdapterException("adapter_layers is " + layers + "; it must be from 1 to the model's " + named.size() + ".");
        }
        attachTo(a, named.subList(named.size() - layers, named.size()), adapterLen);
    }

    /** Gated states at some attentions. */
    static void attachTo(Attachment a, List<AttentionSite> sites, int adapterLen) {
        boolean after = a.model().modelType().equals("gpt2");
        Map<AttentionSite, AttentionStep> steps = new LinkedHashMap<>();
        for (AttentionSite site : sites) {
            KeysAndValues keys = a.model().seams().keysAndValues(site).orElseThrow();
            Var p = a.trainable(Attachment.key(site.path() + ".adaption_prompt"), Init.normal(1), 1, adapterLen, a.model().hiddenSize());
            Var gate = a.trainable(Attachment.key(site.path() + ".adaption_gate"), Init.ZEROS, 1);
            steps.put(site, new GatedSegment(keys, p, gate, after));
        }
        a.segments(SegmentSource.ofSteps(steps));
    }

    /** The attentions of a model that say how they make keys and values; refuses a model that has others. */
    static List<AttentionSite> readable(Backbone model) {
        List<AttentionSite> all = model.seams().attentions();
        if (all.isEmpty() || !all.stream().allMatch(s -> model.seams().keysAndValues(s).isPresent())) {
            throw new AdapterException("states that attentions read through their own projections are for decoder-only language models, "
                    + "and a " + model.modelType() + " model is none. Use prefix tuning.");
        }
        return all;
    }
}
