package dev.jotune.models.seq2seq;

import dev.jotune.models.DecoderCache;
import dev.jotune.models.Encoded;
import dev.jotune.models.KvCache;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * What the decoder of an encoder-decoder remembers: keys and values of the target's tokens so far, which grow, and those
 * of the source, which are made once, in the first pass.
 *
 * <p>Memory: {@code 2 L B G (capacity + S) D} elements; where one source row serves all, its part is not multiplied by B.
 */
public final class Seq2SeqCache implements DecoderCache {
    private final KvCache target;
    private final KvCache.Stored[] source;
    private Optional<Tensor> mask = Optional.empty();
    private boolean begun;

    /** @param sites the decoder's own attentions, not those to the source */
    public Seq2SeqCache(Backend backend, DType dtype, List<AttentionSite> sites, long batch, long capacity) {
        this.target = new KvCache(backend, dtype, sites, batch, capacity);
        this.source = new KvCache.Stored[sites.size()];
    }

    /** {@code cache} as one of an encoder-decoder. */
    public static Seq2SeqCache of(DecoderCache cache, String modelType) {
        if (cache instanceof Seq2SeqCache c) {
            return c;
        }
        throw new IllegalArgumentException("a " + modelType + " model cannot use a " + cache.getClass().getSimpleName()
                + ". Ask the model itself for a new cache.");
    }

    /** Keys and values of the target's tokens. */
    public KvCache target() {
        return target;
    }

    /** Notes the source's mask in the first pass; later passes keep it. */
    public void begin(Encoded encoded) {
        if (!begun) {
            mask = encoded.mask().map(Seq2SeqCache::kept);
            begun = true;
        }
    }

    /** Which of the source's states are seen, BOOL {@code [B or 1, S]}. */
    public Optional<Tensor> mask() {
        return mask;
    }

    /** Keys and values of the source in a layer, {@code [B or 1, G, S, D]}, once they are kept. */
    public Optional<KvCache.Stored> source(int layer) {
        return Optional.ofNullable(source[layer]);
    }

    /** Keeps copies of the source's keys and values of a layer. */
    public void keep(int layer, Tensor keys, Tensor values) {
        source[layer] = new KvCache.Stored(kept(keys), kept(values));
    }

    private static Tensor kept(Tensor t) {
        Tensor copy = Scope.detach(Tensor.empty(t.backend(), t.dtype(), t.shape()));
        copy.copyFrom(t);
        return copy;
    }

    @Override
    public void inBlocks(int size) {
        target.inBlocks(size);
    }

    @Override
    public long length() {
        return target.length();
    }

    @Override
    public long batch() {
        return target.batch();
    }

    @Override
    public void truncate(long newLength) {
        target.truncate(newLength);
    }

    @Override
    public void reorder(int[] rows) {
        target.reorder(rows);
        for (int i = 0; i < source.length; i++) {
            if (source[i] != null) {
                source[i] = new KvCache.Stored(taken(source[i].keys(), rows), taken(source[i].values(), rows));
            }
        }
        mask = mask.map(m -> taken(m, rows));
    }

    /** One row serves all and stays. */
    private static Tensor taken(Tensor from, int[] rows) {
        if (from.size(0) == 1) {
            return from;
        }
        long[] shape = from.shape();
        shape[0] = rows.length;
        Tensor to = Scope.detach(Tensor.empty(from.backend(), from.dtype(), shape));
        for (int i = 0; i < rows.length; i++) {
            to.select(0, i).copyFrom(from.select(0, rows[i]));
        }
        from.storage().free();
        return to;
    }

    @Override
    public void free() {
        target.free();
        Arrays.stream(source).filter(s -> s != null).forEach(s -> {
            s.keys().storage().free();
            s.values().storage().free();
        });
        mask.ifPresent(m -> m.storage().free());
    }
}
