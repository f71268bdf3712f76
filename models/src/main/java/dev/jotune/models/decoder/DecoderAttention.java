package dev.jotune.models.decoder;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Rotary;
import dev.jotune.models.Weights;
import dev.jotune.models.decoder.DecoderConfig.QueryKeyNorm;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import dev.jotune.tensor.kernels.DecodeKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Rotary grouped-query attention of one block. */
final class DecoderAttention {
    private final DecoderConfig config;
    private final int layer;
    private final AttentionSite site;
    /** Queries, keys, values; or one projection of all three. */
    private final List<LinearLayer> inputs;
    private final LinearLayer output;
    private final Optional<RmsNorm> queryNorm;
    private final Optional<RmsNorm> keyNorm;
    private final String headOut;
    private final String out;

    DecoderAttention(DecoderConfig c, int layer, String path, Weights w, Seams seams) {
        this.config = c;
        this.layer = layer;
        String tap = "layers." + layer + ".attn";
        long hidden = c.hiddenSize();
        long queries = (long) c.numAttentionHeads() * c.headDim();
        long keys = (long) c.numKeyValueHeads() * c.headDim();
        site = seams.add(new AttentionSite(path, layer, c.numAttentionHeads(), c.numKeyValueHeads(), c.headDim(),
                AttentionSite.Kind.CAUSAL, tap, c.dropout().attention()), this::keysAndValues);
        inputs = c.fusedProjections() ? List.of(w.linear(path + ".qkv_proj", queries + 2 * keys, hidden, c.attentionBias()))
                : List.of(w.linear(path + ".q_proj", queries, hidden, c.attentionBias()),
                        w.linear(path + ".k_proj", keys, hidden, c.attentionBias()),
                        w.linear(path + ".v_proj", keys, hidden, c.attentionBias()));
        output = w.linear(path + ".o_proj", hidden, queries, c.outputBias());
        queryNorm = norm(path + ".q_norm", queries, w);
        keyNorm = norm(path + ".k_norm", keys, w);
        headOut = seams.addTap(tap + ".head_out", output, c.numAttentionHeads(), c.headDim());
        out = seams.addTap(tap + ".out", hidden);
    }

    private Optional<RmsNorm> norm(String path, long width, Weights w) {
        return switch (config.queryKeyNorm()) {
            case NONE -> Optional.empty();
            case HEAD -> Optional.of(RmsNorm.of(path, config.headDim(), config, w));
            case PROJECTION -> Optional.of(RmsNorm.of(path, width, config, w));
        };
    }

    /**
     * {@code x [B, T, C] -> [B, T, C]}.
     *
     * @param residual what is added to the result, in the output projection where nothing comes between
     * @param added segments that adapters put before the text's own
     */
    Var forward(Var x, Optional<Var> residual, List<Attention.Segment> added, DecoderPass run) {
        Pass pass = run.pass();
        Var[] projected = project(x, pass);
        Rope.Tables angles = run.tables().get(config.ropes().get(layer));
        Var queries = rotate(projected[0], angles);
        Var keys = rotate(projected[1], angles);
        Var values = projected[2];
        Attention.Visible visible = run.layout().visible().withWindow(config.windows().get(layer));
        List<Attention.Segment> segments = new ArrayList<>(added);
        segments.addAll(run.cache().isPresent() ? run.cache().get().append(layer, keys.tensor(), values.tensor(), visible)
                : List.of(new Attention.Segment(keys, values, visible)));
        Var mixed = run.layout().attend(site, queries, segments, config.attentionScale(), config.attentionSoftcap(), pass);
        Var flat = pass.tap(headOut, mixed.transpose(1, 2)).reshape(x.size(0), x.size(1), -1);
        if (residual.isPresent() && !site.isFollowed(pass) && !pass.isTapped(out)) {
            return output.forward(flat, residual.get(), pass);
        }
        Var y = site.behind(output.forward(flat, pass), queries, config.attentionScale(), config.attentionSoftcap(), pass);
        Var tapped = pass.tap(out, y, x);
        return residual.isPresent() ? residual.get().add(tapped) : tapped;
    }

    private Var[] keysAndValues(Var states, Pass pass) {
        Var[] projected = project(states, pass);
        return new Var[] {projected[1], projected[2]};
    }

    /** Whether queries, keys and values have projections of their own, are normalised by head if at all, and scores not capped. */
    boolean isPlain() {
        return inputs.size() == 3 && config.queryKeyNorm() != QueryKeyNorm.PROJECTION && config.attentionSoftcap() == 0;
    }

    /** This attention and the rest of its block as the decode kernel has them. */
    DecodeKernel.Layer prepared(DecodeParts parts, RmsNorm before, RmsNorm beforeMlp, GatedMlp mlp) {
        return new DecodeKernel.Layer(parts.norm(before), parts.linear(inputs.get(0)), parts.linear(inputs.get(1)), parts.linear(inputs.get(2)),
                queryNorm.map(parts::norm), keyNorm.map(parts::norm), parts.linear(output), parts.norm(beforeMlp),
                parts.linear(mlp.inputs().get(0)), parts.linear(mlp.inputs().get(1)), parts.linear(mlp.down()), config.windows().get(layer),
                parts.prefixes(layer, config.windows().get(layer)));
    }

    /** Queries {@code [B, H, T, D]}, keys and values {@code [B, G, T, D]}, normalised and not yet rotated. */
    private Var[] project(Var x, Pass pass) {
        int h = config.numAttentionHeads();
        int g = config.numKeyValueHeads();
        Var q;
        Var k;
        Var v;
        if (config.fusedProjections()) {
            Var all = split(inputs.getFirst().forward(x, pass), h + 2 * g);
            q = all.slice(2, 0, h);
            k = all.slice(2, h, h + g);
            v = all.slice(2, h + g, h + 2 * g);
        } else {
            q = split(normed(QueryKeyNorm.PROJECTION, queryNorm, inputs.get(0).forward(x, pass), pass), h);
            k = split(normed(QueryKeyNorm.PROJECTION, keyNorm, inputs.get(1).forward(x, pass), pass), g);
            v = split(inputs.get(2).forward(x, pass), g);
        }
        q = normed(QueryKeyNorm.HEAD, queryNorm, q, pass);
        k = normed(QueryKeyNorm.HEAD, keyNorm, k, pass);
        return new Var[] {q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)};
    }

    private Var normed(QueryKeyNorm where, Optional<RmsNorm> norm, Var x, Pass pass) {
        return config.queryKeyNorm() == where ? norm.get().apply(x, pass) : x;
    }

    /** {@code [B, T, n D] -> [B, T, n, D]}. */
    private Var split(Var x, int n) {
        return x.reshape(x.size(0), x.size(1), n, config.headDim());
    }

    private static Var rotate(Var x, Rope.Tables tables) {
        return Rotary.apply(x, tables.cos(), tables.sin(), Rotary.Layout.HALF);
    }
}
