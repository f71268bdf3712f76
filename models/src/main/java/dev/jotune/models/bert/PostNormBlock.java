package dev.jotune.models.bert;

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
import java.util.List;

/**
 * One block: {@code h = norm(h + attention(h)); h = norm(h + mlp(h))}.
 *
 * <p>While training, what is added to the stream and the probabilities of attention pass through dropout, as the configuration says.
 */
public final class PostNormBlock {
    /** How queries, keys and values {@code [B, H, T, D]} of a text become {@code [B, H, T, D]}. */
    @FunctionalInterface
    public interface Mixing {
        /** @param added segments that adapters put before the text's own */
        Var mix(PostNormBlock block, Var queries, Var keys, Var values, List<Attention.Segment> added, Pass pass);
    }

    private final BlockShape shape;
    private final AttentionSite site;
    private final LinearLayer query;
    private final LinearLayer key;
    private final LinearLayer value;
    private final LinearLayer out;
    private final LinearLayer up;
    private final LinearLayer down;
    private final Norm attentionNorm;
    private final Norm outNorm;
    private final String tap;

    /** @param path of the block in the checkpoint */
    public PostNormBlock(BlockShape shape, BlockNames names, String path, int layer, Weights w, Seams seams) {
        this.shape = shape;
        this.tap = "layers." + layer;
        String at = path + ".";
        long hidden = shape.hidden();
        long wide = (long) shape.heads() * shape.headDim();
        site = seams.add(new AttentionSite(at + names.attention(), layer, shape.heads(), shape.heads(), shape.headDim(),
                AttentionSite.Kind.BIDIRECTIONAL, tap + ".attn", shape.dropout().attention()));
        query = w.linear(at + names.query(), wide, hidden, true);
        key = w.linear(at + names.key(), wide, hidden, true);
        value = w.linear(at + names.value(), wide, hidden, true);
        out = w.linear(at + names.out(), hidden, wide, true);
        attentionNorm = Norm.of(at + names.attentionNorm(), hidden, shape.eps(), w);
        up = w.linear(at + names.up(), shape.inner(), hidden, true);
        down = w.linear(at + names.down(), hidden, shape.inner(), true);
        outNorm = Norm.of(at + names.outNorm(), hidden, shape.eps(), w);
        seams.addTap(tap + ".attn.head_out", out, shape.heads(), shape.headDim());
        seams.addTap(tap + ".attn.out", hidden);
        seams.addTap(tap + ".mid", hidden);
        seams.addTap(tap + ".mlp.act", down, shape.inner());
        seams.addTap(tap + ".mlp.out", hidden);
        seams.addTap(tap, hidden);
    }

    public AttentionSite site() {
        return site;
    }

    public LinearLayer query() {
        return query;
    }

    public LinearLayer key() {
        return key;
    }

    /**
     * {@code h [B, T, C] -> [B, T, C]}.
     *
     * @param added segments that adapters put before the text's own
     */
    public Var forward(Var h, List<Attention.Segment> added, Mixing mixing, Pass pass) {
        Var mixed = mixing.mix(this, heads(query.forward(h, pass)), heads(key.forward(h, pass)), heads(value.forward(h, pass)),
                added, pass);
        Var flat = pass.tap(tap + ".attn.head_out", mixed.transpose(1, 2)).reshape(h.size(0), h.size(1), -1);
        Var attended = pass.tap(tap + ".attn.out", out.forward(flat, pass), h);
        Var y = h.add(Noise.dropout(attended, shape.dropout().attended(), pass, tap + ".attn"));
        Var x = pass.tap(tap + ".mid", attentionNorm.forward(y, pass));
        Var middle = pass.tap(tap + ".mlp.act", Activations.byName(shape.activation(), up.forward(x, pass)));
        Var fed = pass.tap(tap + ".mlp.out", down.forward(middle, pass), x);
        return pass.tap(tap, outNorm.forward(x.add(Noise.dropout(fed, shape.dropout().fed(), pass, tap + ".mlp")), pass));
    }

    /** {@code [B, T, H D] -> [B, H, T, D]}. */
    public Var heads(Var x) {
        return x.reshape(x.size(0), x.size(1), shape.heads(), shape.headDim()).transpose(1, 2);
    }
}
