package dev.jotune.peft.methods;

import dev.jotune.autograd.Var;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionStep;
import dev.jotune.models.seam.GatedSegment;
import dev.jotune.models.seam.KeysAndValues;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.Require;
import dev.jotune.peft.TuningMethod;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Aligner: One Global Token is Worth Millions of Parameters When Aligning Large Language Models (Ziheng et al., arXiv
 * 2312.05503).
 *
 * <p>All layers read the same n trainable states {@code P [n, C]} through their own frozen projections, without positions,
 * and with a softmax of their own; each head of each layer has a gate: {@code o = softmax(q K^T) V + b_lh softmax(q K_p^T) V_p},
 * {@code K_p = W_k P}, {@code V_p = W_v P}. The gates start at 0, so training begins at the model as it is. Trainable:
 * {@code n C + L H}.
 *
 * <p>With n = 1 the softmax is 1 and the method is a constant added to each attention's output, {@code W_o concat_h(b_lh W_v P)}.
 *
 * @param numVirtualTokens n
 * @param modulesToSave modules that are trained whole
 */
public record Aligner(int numVirtualTokens, List<String> modulesToSave) implements TuningMethod {
    public static final Aligner DEFAULTS = new Aligner(1, List.of());

    public Aligner withTokens(int n) {
        return new Aligner(n, modulesToSave);
    }

    @Override
    public Aligner withModulesToSave(List<String> modules) {
        return new Aligner(numVirtualTokens, modules);
    }

    @Override
    public String peftType() {
        return "ALIGNER";
    }

    @Override
    public void attachTo(Attachment a) {
        Require.positive("num_virtual_tokens", numVirtualTokens);
        List<AttentionSite> sites = AdaptionPrompt.readable(a.model());
        int heads = sites.getFirst().heads();
        Var p = a.trainable("aligner_prompt", Init.normal(1), 1, numVirtualTokens, a.model().hiddenSize());
        Var gates = a.trainable("aligner_gate", Init.ZEROS, sites.size(), heads);
        Map<AttentionSite, AttentionStep> steps = new LinkedHashMap<>();
        for (int i = 0; i < sites.size(); i++) {
            int layer = i;
            KeysAndValues keys = a.model().seams().keysAndValues(sites.get(i)).orElseThrow();
            // The gates are cut out in each pass, whose derivative then leads to them.
            steps.put(sites.get(i), (queries, others, pass) ->
                    new GatedSegment(keys, p, gates.slice(0, layer, layer + 1).reshape(1, heads, 1, 1), false).apply(queries, others, pass));
        }
        a.segments(SegmentSource.ofSteps(steps));
        a.modulesToSave(modulesToSave, Attachment.UNWRAPPED);
    }
}
