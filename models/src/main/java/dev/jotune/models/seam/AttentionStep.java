package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import java.util.Optional;

/**
 * Seam 2, where keys and values do not say it: one more step of the fold over segments, taken after all keys. A step sees
 * the queries and the pair (o, lse) of everything before it and gives the pair of everything with it. A run of keys whose
 * softmax is its own is such a step ({@link GatedSegment}), and so is a prefix in closed form.
 */
@FunctionalInterface
public interface AttentionStep {
    /**
     * @param queries of the rows of this adapter's group
     * @param others output {@code [B, H, T, D]} and log-sum-exp {@code [B, H, T]} of what was before; -infinity where nothing is visible
     * @param pass for these rows alone
     * @return both with this step's part
     */
    Attention.Result apply(AttentionSite.Queries queries, Attention.Result others, Pass pass);

    /**
     * What joins the attention's output behind its output projection, {@code [B, T, C]}; by default nothing. Only attentions
     * of which {@link Seams#keysAndValues} knows ask for it.
     */
    default Optional<Var> behind(AttentionSite.Queries queries, Pass pass) {
        return Optional.empty();
    }
}
