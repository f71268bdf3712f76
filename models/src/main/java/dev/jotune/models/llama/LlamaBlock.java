package dev.jotune.models.llama;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Norms;
import dev.jotune.autograd.ops.Rotary;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Parameter;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One block: {@code h += attention(norm(h)); h += mlp(norm(h))}. */
final class LlamaBlock {
    private final LlamaConfig config;
    private final int layer;
    private final Parameter inputNorm;
    private final Parameter postNorm;
    private final AttentionSite site;
    private final LinearLayer q;
    private final LinearLayer k;
    private final LinearLayer v;
    private final LinearLayer o;
    private final LinearLayer gate;
    private final LinearLayer up;
    private final LinearLayer down;
    private final String headOut;
    private final String attentionOut;
    private final String act;
    private final String mlpOut;
    private final String out;

    LlamaBlock(LlamaConfig c, int layer, Weights w, Seams seams) {
        this.config = c;
        this.layer = layer;
        String path = "model.layers." + layer;
        String attention = path + ".self_attn";
        long hidden = c.hiddenSize();
        long queries = (long) c.numAttentionHeads() * c.headDim();
        long keys = (long) c.numKeyValueHeads() * c.headDim();
        site = seams.add(new AttentionSite(attention, layer, c.numAttentionHeads(), c.numKeyValueHeads(), c.headDim(),
                AttentionSite.Kind.CAUSAL, "layers." + layer + ".attn"));
        q = w.linear(attention + ".q_proj", queries, hidden, c.attentionBias());
        k = w.linear(attention + ".k_proj", keys, hidden, c.attentionBias());
        v = w.linear(attention + ".v_proj", keys, hidden, c.attentionBias());
        o = w.linear(attention + ".o_proj", hidden, queries, c.attentionBias());
        gate = w.linear(path + ".mlp.gate_proj", c.intermediateSize(), hidden, c.mlpBias());
        up = w.linear(path + ".mlp.up_proj", c.intermediateSize(), hidden, c.mlpBias());
        down = w.linear(path + ".mlp.down_proj", hidden, c.intermediateSize(), c.mlpBias());
        inputNorm = w.parameter(path + ".input_layernorm.weight", hidden);
        postNorm = w.parameter(path + ".post_attention_layernorm.weight", hidden);
        headOut = seams.addTap("layers." + layer + ".attn.head_out");
        attentionOut = seams.addTap("layers." + layer + ".attn.out");
        act = seams.addTap("layers." + layer + ".mlp.act");
        mlpOut = seams.addTap("layers." + layer + ".mlp.out");
        out = seams.addTap("layers." + layer);
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}.
     *
     * @param added segments that adapters put before the text's own
     */
    Var forward(Var h, List<Attention.Segment> added, RopeScaling.Tables rope, TokenLayout layout, Pass pass, Optional<KvCache> cache) {
        Var x = h.add(attention(norm(h, inputNorm, pass), added, rope, layout, pass, cache));
        Var y = norm(x, postNorm, pass);
        Var middle = pass.tap(act, activation(gate.forward(y, pass), up.forward(y, pass)));
        return pass.tap(out, x.add(pass.tap(mlpOut, down.forward(middle, pass))));
    }

    private Var activation(Var gated, Var linear) {
        return config.hiddenAct().equals("silu") ? Activations.swiglu(gated, linear)
                : Activations.byName(config.hiddenAct(), gated).mul(linear);
    }

    private Var norm(Var x, Parameter weight, Pass pass) {
        return pass.perGroup(x, (rows, g) -> Norms.rmsNorm(rows, weight.value(g), config.rmsNormEps()));
    }

    private Var attention(Var x, List<Attention.Segment> added, RopeScaling.Tables rope, TokenLayout layout, Pass pass,
            Optional<KvCache> cache) {
        Var queries = rotate(heads(q.forward(x, pass), config.numAttentionHeads()), rope);
        Var keys = rotate(heads(k.forward(x, pass), config.numKeyValueHeads()), rope);
        Var values = heads(v.forward(x, pass), config.numKeyValueHeads());
        List<Attention.Segment> segments = new ArrayList<>(added);
        segments.addAll(cache.isPresent() ? cache.get().append(layer, keys.tensor(), values.tensor(), layout.visible())
                : List.of(new Attention.Segment(keys, values, layout.visible())));
        Var mixed = site.attend(queries, segments, 1 / Math.sqrt(config.headDim()), 0, pass);
        Var flat = pass.tap(headOut, mixed.transpose(1, 2)).reshape(x.size(0), x.size(1), -1);
        return pass.tap(attentionOut, o.forward(flat, pass));
    }

    /** {@code [B, T, n D] -> [B, n, T, D]}. */
    private Var heads(Var x, int n) {
        return x.reshape(x.size(0), x.size(1), n, config.headDim()).transpose(1, 2);
    }

    private static Var rotate(Var x, RopeScaling.Tables rope) {
        return Rotary.apply(x, rope.cos(), rope.sin(), Rotary.Layout.HALF);
    }
}
