package dev.jotune.models;

import dev.jotune.models.seam.AttentionSite;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * The keys and values of the tokens so far, one dense segment per layer, for decoding without derivatives.
 *
 * <p>Memory: {@code 2 L B G capacity D} elements; the capacity doubles when it is reached. Keys are stored as they
 * enter attention, after rotary embedding. Layers with a sliding window keep all of it too: cutting the cache back, for
 * speculation or another turn, then never meets a key that is gone.
 */
public final class KvCache implements DecoderCache {
    private final Backend backend;
    private final DType dtype;
    private final List<AttentionSite> sites;
    private long batch;
    private final Tensor[] keys;
    private final Tensor[] values;
    private long capacity;
    private long length;
    private boolean[][] visible;
    private boolean masked;

    public KvCache(Backend backend, DType dtype, List<AttentionSite> sites, long batch, long capacity) {
        this.backend = backend;
        this.dtype = dtype;
        this.sites = List.copyOf(sites);
        this.batch = batch;
        this.capacity = Math.max(1, capacity);
        this.keys = new Tensor[sites.size()];
        this.values = new Tensor[sites.size()];
        this.visible = new boolean[Math.toIntExact(batch)][Math.toIntExact(this.capacity)];
        for (int i = 0; i < keys.length; i++) {
            keys[i] = make(i, this.capacity);
            values[i] = make(i, this.capacity);
        }
    }

    /** {@code cache} as one of keys and values. */
    public static KvCache of(DecoderCache cache, String modelType) {
        if (cache instanceof KvCache c) {
            return c;
        }
        throw new IllegalArgumentException("a " + modelType + " model cannot use a " + cache.getClass().getSimpleName()
                + ". Ask the model itself for a new cache.");
    }

    private Tensor make(int layer, long size) {
        AttentionSite s = sites.get(layer);
        return Scope.detach(Tensor.empty(backend, dtype, batch, s.groups(), size, s.headDim()));
    }

    @Override
    public long length() {
        return length;
    }

    @Override
    public long batch() {
        return batch;
    }

    @Override
    public void truncate(long newLength) {
        if (newLength < 0 || newLength > length) {
            throw new IllegalArgumentException("cannot cut a cache of " + length + " tokens to " + newLength);
        }
        length = newLength;
    }

    /** Makes room for {@code more} tokens and notes which of them are real. Call once per forward pass. */
    public void grow(boolean[][] real, long more) {
        long need = length + more;
        if (need > capacity) {
            long larger = Math.max(need, 2 * capacity);
            for (int i = 0; i < keys.length; i++) {
                keys[i] = moved(keys[i], make(i, larger));
                values[i] = moved(values[i], make(i, larger));
            }
            for (int b = 0; b < visible.length; b++) {
                visible[b] = Arrays.copyOf(visible[b], Math.toIntExact(larger));
            }
            capacity = larger;
        }
        for (int b = 0; b < visible.length; b++) {
            for (int t = 0; t < more; t++) {
                boolean see = real == null || real[b][t];
                visible[b][Math.toIntExact(length) + t] = see;
                masked |= !see;
            }
        }
        length = need;
    }

    private Tensor moved(Tensor from, Tensor to) {
        to.slice(2, 0, from.size(2)).copyFrom(from);
        from.storage().free();
        return to;
    }

    private Tensor append(Tensor all, Tensor newest) {
        all.slice(2, length - newest.size(2), length).copyFrom(newest);
        return all.slice(2, 0, length);
    }

    /** Keys and values {@code [B, G, S, D]} of all tokens so far. */
    public record Stored(Tensor keys, Tensor values) {}

    /** Stores the newest keys and values {@code [B, G, T, D]} of a layer, after {@link #grow}. */
    public Stored append(int layer, Tensor k, Tensor v) {
        return new Stored(append(keys[layer], k), append(values[layer], v));
    }

    /** Views of the keys and values {@code [B, G, length, D]} that a layer has stored. */
    public Stored stored(int layer) {
        return new Stored(keys[layer].slice(2, 0, length), values[layer].slice(2, 0, length));
    }

    /** Which stored tokens are real, per row; null if all are. */
    public boolean[][] visible() {
        return masked ? visible : null;
    }

    /**
     * @throws IllegalArgumentException if there is no such row, or none is left
     */
    @Override
    public void reorder(int[] rows) {
        boolean[][] after = new boolean[rows.length][];
        boolean same = rows.length == batch;
        for (int i = 0; i < rows.length; i++) {
            after[i] = visible[Objects.checkIndex(rows[i], visible.length)].clone();
            same &= rows[i] == i;
        }
        if (rows.length == 0) {
            throw new IllegalArgumentException("a cache of 0 rows was asked for. Free it instead.");
        }
        if (same) {
            return;
        }
        batch = rows.length;
        visible = after;
        for (int i = 0; i < keys.length; i++) {
            keys[i] = taken(keys[i], make(i, capacity), rows);
            values[i] = taken(values[i], make(i, capacity), rows);
        }
    }

    private Tensor taken(Tensor from, Tensor to, int[] rows) {
        for (int i = 0; i < rows.length; i++) {
            to.slice(0, i, i + 1).slice(2, 0, length).copyFrom(from.slice(0, rows[i], rows[i] + 1).slice(2, 0, length));
        }
        from.storage().free();
        return to;
    }

    @Override
    public void free() {
        for (int i = 0; i < keys.length; i++) {
            keys[i].storage().free();
            values[i].storage().free();
        }
    }
}
