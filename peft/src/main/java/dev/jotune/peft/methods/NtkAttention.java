package dev.jotune.peft.methods;

import dev.jotune.autograd.MapOp;
import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.AttentionDefinition;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.AttentionStep;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.SegmentSource;
import dev.jotune.peft.AdapterException;
import dev.jotune.peft.Attachment;
import dev.jotune.peft.Init;
import dev.jotune.peft.TuningMethod;
import dev.jotune.tensor.expr.Expr;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * NTK-Attention: Toward Infinite-Long Prefix in Transformer (Liang et al., arXiv 2406.14036).
 *
 * <p>A prefix of any length, summed up under a feature map: where m prefix tokens would add {@code e^(q k_p)} to the
 * softmax, {@code phi(q) phi(k_p)} is added, and then only two sums over the prefix remain, which are trained for each head,
 * {@code Z = sum phi(k_p) v_p^T [D, D]} and {@code k = sum phi(k_p) [D]}:
 * {@code o_i = (sum_j e^(s q_i k_j) v_j + phi(q_i) Z) / (sum_j e^(s q_i k_j) + phi(q_i) |k|)},
 * {@code phi(x) = ELU(sqrt(s) x) + 1}, s being the scale of the scores ({@code 1 / sqrt(D)}, so {@code sqrt(s) x = x / D^(1/4)}).
 * |k| keeps the denominator positive. Trainable: {@code H (D^2 + D)} for each attention.
 *
 * <p>It works in every attention, to a source too. The prefix takes no positions, and no causal mask is on it.
 *
 * @param initStd Z and k start as noise of this size: at k = 0 the absolute value would have no slope
 * @param modulesToSave modules that are trained whole
 */
public record NtkAttention(double initStd, List<String> modulesToSave) implements TuningMethod {
    public static final NtkAttention DEFAULTS = new NtkAttention(1e-4, List.of());
    private static final MapOp ABSOLUTE = MapOp.of("absolute", 1, Expr.input(0).abs());

    @Override
    public NtkAttention withModulesToSave(List<String> modules) {
        return new NtkAttention(initStd, modules);
    }

    @Override
    public String peftType() {
        return "NTK_ATTENTION";
    }

    @Override
    public String changesAtStart() {
        return "Z and k start as small noise, so that every query gives the prefix a little of its attention";
    }

    @Override
    public void attachTo(Attachment a) {
        if (!(initStd > 0) || !Double.isFinite(initStd)) {
            throw new AdapterException("init_std is " + initStd + "; it must be positive.");
        }
        List<AttentionSite> sites = a.model().seams().attentions();
        if (sites.isEmpty()) {
            throw new AdapterException("NTK-Attention needs attentions to add a prefix to, and a " + a.model().modelType()
                    + " model has none. Choose another method.");
        }
        Map<AttentionSite, AttentionStep> steps = new LinkedHashMap<>();
        for (AttentionSite s : sites) {
            Var z = a.trainable(Attachment.key(s.path() + ".ntk_z"), Init.normal(initStd), s.heads(), s.headDim(), s.headDim());
            Var k = a.trainable(Attachment.key(s.path() + ".ntk_k"), Init.normal(initStd), s.heads(), s.headDim());
            steps.put(s, new Prefix(z, k));
        }
        a.segments(SegmentSource.ofSteps(steps));
        a.modulesToSave(modulesToSave, Attachment.WRAPPED);
    }

    /** One attention's sums. */
    private record Prefix(Var z, Var k) implements AttentionStep {
        @Override
        public Attention.Result apply(AttentionSite.Queries queries, Attention.Result others, Pass pass) {
            Var phi = Activations.elu(queries.states().mul(Math.sqrt(queries.scale()))).add(1);
            Var mass = phi.matmul(ABSOLUTE.apply(k).reshape(1, k.size(0), k.size(1), 1));
            return AttentionDefinition.withSums(others, phi.matmul(z.reshape(1, z.size(0), z.size(1), z.size(2))), mass);
        }
    }
}
