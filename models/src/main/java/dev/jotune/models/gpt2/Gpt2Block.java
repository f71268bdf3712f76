package dev.jotune.models.gpt2;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.models.KvCache;
import dev.jotune.models.TokenLayout;
import dev.jotune.models.Weights;
import dev.jotune.models.head.Noise;
import dev.jotune.models.head.Norm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One block: {@code h += attention(norm(h)); h += mlp(norm(h))}, its linear layers stored {@code [in, out]}. While training, what is
 * added passes through dropout.
 */
final class Gpt2Block {
    private final Gpt2Config config;
    private final int layer;
    private final AttentionSite site;
    private final Norm attentionNorm;
    private final Norm mlpNorm;
    private final LinearLayer queryKeyValue;
    private final LinearLayer output;
    private final LinearLayer up;
    private final LinearLayer down;
    private final String headOut;
    private final String attentionOut;
    private final String mid;
    private final String act;
    private final String mlpOut;
    private final String out;

    Gpt2Block(Gpt2Config c, int layer, Weights w, Seams seams) {
        this.config = c;
        this.layer = layer;
        String path = "transformer.h." + layer;
        String tap = "layers." + layer;
        int hidden = c.hiddenSize();
        site = seams.add(new AttentionSite(path + ".attn", layer, c.heads(), c.heads(), c.headDim(), AttentionSite.Kind.CAUSAL,
                tap + ".attn", c.dropout().attention()), this::keysAndValues);
        attentionNorm = Norm.of(path + ".ln_1", hidden, c.epsilon(), w);
        queryKeyValue = w.conv1d(path + ".attn.c_attn", hidden, 3L * hidden, true);
        output = w.conv1d(path + ".attn.c_proj", hidden, hidden, true);
        mlpNorm = Norm.of(path + ".ln_2", hidden, c.epsilon(), w);
        up = w.conv1d(path + ".mlp.c_fc", hidden, c.intermediateSize(), true);
        down = w.conv1d(path + ".mlp.c_proj", c.intermediateSize(), hidden, true);
        headOut = seams.addTap(tap + ".attn.head_out", output, c.heads(), c.headDim());
        attentionOut = seams.addTap(tap + ".attn.out", hidden);
        mid = seams.addTap(tap + ".mid", hidden);
        act = seams.addTap(tap + ".mlp.act", down, c.intermediateSize());
        mlpOut = seams.addTap(tap + ".mlp.out", hidden);
        out = seams.addTap(tap, hidden);
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}.
     *
     * @param added segments that adapters put before the text's own
     */
    Var forward(Var h, List<Attention.Segment> added, TokenLayout layout, Pass pass, Optional<KvCache> cache) {
        double p = config.dropout().residual();
        Var attended = attention(attentionNorm.forward(h, pass), added, layout, pass, cache);
        Var x = pass.tap(mid, h.add(Noise.dropout(attended, p, pass, attentionOut)));
        Var y = mlpNorm.forward(x, pass);
        Var middle = pass.tap(act, Activations.byName(config.activation(), up.forward(y, pass)));
        Var fed = pass.tap(mlpOut, down.forward(middle, pass), y);
        return pass.tap(out, x.add(Noise.dropout(fed, p, pass, mlpOut)));
    }

    private Var attention(Var x, List<Attention.Segment> added, TokenLayout layout, Pass pass, Optional<KvCache> cache) {
        int n = config.heads();
        Var all = project(x, pass);
        Var queries = all.slice(1, 0, n);
        Var keys = all.slice(1, n, 2L * n);
        Var values = all.slice(1, 2L * n, 3L * n);
        List<Attention.Segment> segments = new ArrayList<>(added);
        segments.addAll(cache.isPresent() ? cache.get().append(layer, keys.tensor(), values.tensor(), layout.visible())
                : List.of(new Attention.Segment(keys, values, layout.visible())));
        Var mixed = layout.attend(site, queries, segments, config.attentionScale(layer), 0, pass);
        Var flat = pass.tap(headOut, mixed.transpose(1, 2)).reshape(x.size(0), x.size(1), -1);
        return pass.tap(attentionOut, site.behind(output.forward(flat, pass), queries, config.attentionScale(layer), 0, pass), x);
    }

    /** {@code [B, T, C] -> [B, 3 H, T, D]}: all queries, then all keys, then all values. */
    private Var project(Var x, Pass pass) {
        return queryKeyValue.forward(x, pass).reshape(x.size(0), x.size(1), 3L * config.heads(), config.headDim()).transpose(1, 2);
    }

    private Var[] keysAndValues(Var states, Pass pass) {
        int n = config.heads();
        Var all = project(states, pass);
        return new Var[] {all.slice(1, n, 2L * n), all.slice(1, 2L * n, 3L * n)};
    }
}
