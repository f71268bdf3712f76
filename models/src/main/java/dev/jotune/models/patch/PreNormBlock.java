package dev.jotune.models.patch;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Noise;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import java.util.ArrayList;
import java.util.List;

/**
 * One block: {@code h = h + attention(norm(h)); h = h + mlp(norm(h))}.
 *
 * <p>While training, what is added to the stream and the probabilities of attention pass through dropout, as the configuration says.
 */
final class PreNormBlock {
    private final StackOptions options;
    private final AttentionSite site;
    private final Norm attentionNorm;
    private final LinearLayer query;
    private final LinearLayer key;
    private final LinearLayer value;
    private final LinearLayer out;
    private final Norm mlpNorm;
    private final LinearLayer up;
    private final LinearLayer down;
    private final String tap;

    PreNormBlock(StackOptions o, int layer, Weights w, Seams seams) {
        options = o;
        tap = o.tap() + "layers." + layer;
        String at = o.path() + layer + ".";
        BlockNames names = o.names();
        long hidden = o.hidden();
        site = seams.add(new AttentionSite(at + names.attention(), layer, o.heads(), o.heads(), o.headDim(), o.kind(), tap + ".attn",
                o.dropout().attention()));
        attentionNorm = Norm.of(at + names.attentionNorm(), hidden, o.eps(), w);
        query = w.linear(at + names.query(), hidden, hidden, o.attentionBias());
        key = w.linear(at + names.key(), hidden, hidden, o.attentionBias());
        value = w.linear(at + names.value(), hidden, hidden, o.attentionBias());
        out = w.linear(at + names.out(), hidden, hidden, true);
        mlpNorm = Norm.of(at + names.mlpNorm(), hidden, o.eps(), w);
        up = w.linear(at + names.up(), o.inner(), hidden, true);
        down = w.linear(at + names.down(), hidden, o.inner(), true);
        seams.addTap(tap + ".attn.head_out", out, o.heads(), o.headDim());
        seams.addTap(tap + ".attn.out", hidden);
        seams.addTap(tap + ".mid", hidden);
        seams.addTap(tap + ".mlp.act", down, o.inner());
        seams.addTap(tap + ".mlp.out", hidden);
        seams.addTap(tap, hidden);
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}.
     *
     * @param added segments that adapters put before the own keys
     */
    Var forward(Var h, List<Attention.Segment> added, Attention.Visible visible, Pass pass) {
        Var attended = attention(attentionNorm.forward(h, pass), added, visible, pass);
        Var x = pass.tap(tap + ".mid", h.add(Noise.dropout(attended, options.dropout().residual(), pass, tap + ".attn")));
        Var y = mlpNorm.forward(x, pass);
        Var middle = pass.tap(tap + ".mlp.act", Activations.byName(options.activation(), up.forward(y, pass)));
        Var fed = pass.tap(tap + ".mlp.out", down.forward(middle, pass), y);
        return pass.tap(tap, x.add(Noise.dropout(fed, options.dropout().residual(), pass, tap + ".mlp")));
    }

    private Var attention(Var x, List<Attention.Segment> added, Attention.Visible visible, Pass pass) {
        List<Attention.Segment> segments = new ArrayList<>(added);
        segments.add(new Attention.Segment(heads(key.forward(x, pass)), heads(value.forward(x, pass)), visible));
        Var mixed = site.attend(heads(query.forward(x, pass)), segments, 1 / Math.sqrt(site.headDim()), 0, pass);
        Var flat = pass.tap(tap + ".attn.head_out", mixed.transpose(1, 2)).reshape(x.size(0), x.size(1), -1);
        return pass.tap(tap + ".attn.out", out.forward(flat, pass), x);
    }

    /** {@code [B, T, H D] -> [B, H, T, D]}. */
    private Var heads(Var x) {
        return x.reshape(x.size(0), x.size(1), site.heads(), site.headDim()).transpose(1, 2);
    }
}
