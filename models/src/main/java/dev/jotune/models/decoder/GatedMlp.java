package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import java.util.List;
import java.util.Optional;

/**
 * {@code down(act(gate(x)) up(x))} (Shazeer, arXiv 2002.05202).
 *
 * @param inputs gate and up; or one projection of both
 * @param tap of the product; empty for an expert
 */
record GatedMlp(List<LinearLayer> inputs, LinearLayer down, String act, Optional<String> tap) implements FeedForward {
    /** The projections {@code names} (gate, up, down) below {@code path}. */
    static GatedMlp of(String path, List<String> names, long inner, DecoderConfig c, Weights w, Optional<String> tap) {
        LinearLayer gate = w.linear(path + "." + names.get(0), inner, c.hiddenSize(), c.mlpBias());
        LinearLayer up = w.linear(path + "." + names.get(1), inner, c.hiddenSize(), c.mlpBias());
        return new GatedMlp(List.of(gate, up), w.linear(path + "." + names.get(2), c.hiddenSize(), inner, c.mlpBias()), c.hiddenAct(), tap);
    }

    /** Gate and up in one projection {@code gate_up_proj}. */
    static GatedMlp fused(String path, DecoderConfig c, Weights w, Optional<String> tap) {
        LinearLayer both = w.linear(path + ".gate_up_proj", 2L * c.intermediateSize(), c.hiddenSize(), c.mlpBias());
        return new GatedMlp(List.of(both), w.linear(path + ".down_proj", c.hiddenSize(), c.intermediateSize(), c.mlpBias()), c.hiddenAct(),
                tap);
    }

    /** Whether the gate passes through SiLU. */
    boolean isSwiglu() {
        return act.equals("silu") || act.equals("swish");
    }

    @Override
    public Var forward(Var x, Optional<Var> residual, Pass pass, List<Var> routed) {
        Var gate = inputs.getFirst().forward(x, pass);
        Var up;
        if (inputs.size() == 2) {
            up = inputs.get(1).forward(x, pass);
        } else {
            int last = gate.rank() - 1;
            long inner = gate.size(last) / 2;
            up = gate.slice(last, inner, 2 * inner);
            gate = gate.slice(last, 0, inner);
        }
        Var gated = Activations.gated(act, gate, up);
        Var product = tap.isPresent() ? pass.tap(tap.get(), gated) : gated;
        return residual.isPresent() ? down.forward(product, residual.get(), pass) : down.forward(product, pass);
    }
}
