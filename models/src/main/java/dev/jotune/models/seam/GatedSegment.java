package dev.jotune.models.seam;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import java.util.List;
import java.util.Optional;

/**
 * A run of keys with a softmax of its own, whose output times a gate is added to the attention's:
 * {@code o = attention(q, text) + g softmax(q K_p^T) V_p}. It takes no share of the text's probabilities, so at g = 0 the
 * output is the model's own, number for number.
 *
 * @param keys makes {@code K_p} and {@code V_p} of the states
 * @param states what the keys and values are made of, {@code [1, n, C]}
 * @param gate g, to be broadcast over {@code [B, H, T, D]}
 * @param after whether it joins the output behind the output projection instead, as it is; then {@code H D = C}
 */
public record GatedSegment(KeysAndValues keys, Var states, Var gate, boolean after) implements AttentionStep {
    private Var output(AttentionSite.Queries queries, Pass pass) {
        Var[] own = keys.of(states, pass);
        Attention.Segment segment = new Attention.Segment(own[0], own[1], Attention.Visible.ALL);
        return Attention.attend(queries.states(), List.of(segment), queries.scale(), queries.softcap()).out().mul(gate);
    }

    @Override
    public Attention.Result apply(AttentionSite.Queries queries, Attention.Result others, Pass pass) {
        return after ? others : new Attention.Result(others.out().add(output(queries, pass)), others.lse());
    }

    @Override
    public Optional<Var> behind(AttentionSite.Queries queries, Pass pass) {
        if (!after) {
            return Optional.empty();
        }
        Var out = output(queries, pass).transpose(1, 2);
        return Optional.of(out.reshape(out.size(0), out.size(1), -1));
    }
}
