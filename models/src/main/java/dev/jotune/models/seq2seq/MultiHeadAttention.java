package dev.jotune.models.seq2seq;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.Encoded;
import dev.jotune.models.KvCache;
import dev.jotune.models.Weights;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.models.seam.LinearLayer;
import dev.jotune.models.seam.Pass;
import dev.jotune.models.seam.Seams;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One attention with its four projections, to the own states or to those of a source.
 *
 * <p>Taps: {@code head_out [B, T, H, D]} and {@code out [B, T, C]} under the site's name.
 */
public final class MultiHeadAttention {
    /**
     * What the projections are called in the checkpoint, and which of them have a bias.
     *
     * @param keyBias whether the key projection has one where {@code bias} says the others have
     */
    public record Projections(String query, String key, String value, String out, boolean bias, boolean keyBias) {}

    private final AttentionSite site;
    private final double scale;
    private final LinearLayer q;
    private final LinearLayer k;
    private final LinearLayer v;
    private final LinearLayer o;
    private final String headOut;
    private final String out;

    /**
     * @param hidden features of the states (C)
     * @param scale factor of the scores
     */
    public MultiHeadAttention(AttentionSite site, Projections names, long hidden, double scale, Weights w, Seams seams) {
        this.site = seams.add(site);
        this.scale = scale;
        long inner = (long) site.heads() * site.headDim();
        q = w.linear(site.path() + "." + names.query(), inner, hidden, names.bias());
        k = w.linear(site.path() + "." + names.key(), inner, hidden, names.keyBias());
        v = w.linear(site.path() + "." + names.value(), inner, hidden, names.bias());
        o = w.linear(site.path() + "." + names.out(), hidden, inner, names.bias());
        headOut = seams.addTap(site.tap() + ".head_out", o, site.heads(), site.headDim());
        out = seams.addTap(site.tap() + ".out", hidden);
    }

    public AttentionSite site() {
        return site;
    }

    /**
     * Attention to the own states, {@code x [B, T, C] -> [B, T, C]}.
     *
     * @param added segments that adapters put before the own keys
     * @param cache holds the keys and values of earlier tokens
     */
    public Var self(Var x, List<Attention.Segment> added, Visible visible, Optional<KvCache> cache, Pass pass) {
        Var keys = heads(k.forward(x, pass));
        Var values = heads(v.forward(x, pass));
        List<Attention.Segment> own = cache.isPresent() ? cache.get().append(site.layer(), keys.tensor(), values.tensor(), visible)
                : List.of(new Attention.Segment(keys, values, visible));
        return attend(x, added, own, pass);
    }

    /**
     * Attention to a source, {@code x [B, T, C] -> [B, T, C]}.
     *
     * @param cache holds the keys and values of the source after its first pass
     */
    public Var cross(Var x, List<Attention.Segment> added, Encoded source, Optional<Seq2SeqCache> cache, Pass pass) {
        Optional<KvCache.Stored> stored = cache.flatMap(c -> c.source(site.layer()));
        Var states = source.states();
        if (!pass.isUniform() && states.size(0) == 1) {
            // Rows under different adapters see different keys of the same source.
            states = states.expandTo(x.size(0), states.size(1), states.size(2));
        }
        Var keys = stored.isPresent() ? Var.constant(stored.get().keys()) : heads(k.forward(states, pass));
        Var values = stored.isPresent() ? Var.constant(stored.get().values()) : heads(v.forward(states, pass));
        if (cache.isPresent() && stored.isEmpty()) {
            cache.get().keep(site.layer(), keys.tensor(), values.tensor());
        }
        Visible visible = cache.map(Seq2SeqCache::mask).orElse(source.mask()).map(Visible.ALL::withKeyMask).orElse(Visible.ALL);
        return attend(x, added, List.of(new Attention.Segment(keys, values, visible)), pass);
    }

    private Var attend(Var x, List<Attention.Segment> added, List<Attention.Segment> own, Pass pass) {
        List<Attention.Segment> segments = new ArrayList<>(added);
        segments.addAll(own);
        Var mixed = site.attend(heads(q.forward(x, pass)), segments, scale, 0, pass);
        Var flat = pass.tap(headOut, mixed.transpose(1, 2)).reshape(x.size(0), x.size(1), -1);
        return pass.tap(out, o.forward(flat, pass), x);
    }

    /** {@code [B, T, H D] -> [B, H, T, D]}. */
    private Var heads(Var x) {
        return x.reshape(x.size(0), x.size(1), site.heads(), site.headDim()).transpose(1, 2);
    }
}
