package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.List;

/** One tensor {@code [B, G, capacity, D]} for the keys of a layer and one for its values; the capacity doubles. */
final class DenseStorage implements KvStorage {
    private final Backend backend;
    private final DType dtype;
    private final List<AttentionSite> sites;
    private final Tensor[] keys;
    private final Tensor[] values;
    private long batch;
    private long capacity;
    private boolean made;

    DenseStorage(Backend backend, DType dtype, List<AttentionSite> sites, long batch, long capacity) {
        this.backend = backend;
        this.dtype = dtype;
        this.sites = sites;
        this.batch = batch;
        this.capacity = Math.max(1, capacity);
        this.keys = new Tensor[sites.size()];
        this.values = new Tensor[sites.size()];
    }

    private Tensor make(int layer) {
        AttentionSite s = sites.get(layer);
        return Scope.detach(Tensor.empty(backend, dtype, batch, s.groups(), capacity, s.headDim()));
    }

    @Override
    public void reserve(long from, long to) {
        if (made && to <= capacity) {
            return;
        }
        capacity = to <= capacity ? capacity : Math.max(to, 2 * capacity);
        for (int i = 0; i < keys.length; i++) {
            keys[i] = moved(keys[i], make(i), from);
            values[i] = moved(values[i], make(i), from);
        }
        made = true;
    }

    private Tensor moved(Tensor from, Tensor to, long length) {
        if (made) {
            to.slice(2, 0, length).copyFrom(from.slice(2, 0, length));
            from.storage().free();
        }
        return to;
    }

    @Override
    public void write(int layer, long from, Tensor k, Tensor v) {
        keys[layer].slice(2, from, from + k.size(2)).copyFrom(k);
        values[layer].slice(2, from, from + v.size(2)).copyFrom(v);
    }

    @Override
    public List<Segment> segments(int layer, long length, Visible visible) {
        KvCache.Stored all = stored(layer, length);
        return List.of(new Segment(Var.constant(all.keys()), Var.constant(all.values()), visible));
    }

    @Override
    public KvCache.Stored stored(int layer, long length) {
        return new KvCache.Stored(keys[layer].slice(2, 0, length), values[layer].slice(2, 0, length));
    }

    /** The tensors as they are. */
    void whole(Tensor[] allKeys, Tensor[] allValues) {
        System.arraycopy(keys, 0, allKeys, 0, keys.length);
        System.arraycopy(values, 0, allValues, 0, values.length);
    }

    @Override
    public void truncate(long length) {
        // What lies beyond is written over.
    }

    @Override
    public void reorder(int[] rows, long length) {
        batch = rows.length;
        for (int i = 0; made && i < keys.length; i++) {
            keys[i] = taken(keys[i], make(i), rows, length);
            values[i] = taken(values[i], make(i), rows, length);
        }
    }

    private static Tensor taken(Tensor from, Tensor to, int[] rows, long length) {
        for (int i = 0; i < rows.length; i++) {
            to.slice(0, i, i + 1).slice(2, 0, length).copyFrom(from.slice(0, rows[i], rows[i] + 1).slice(2, 0, length));
        }
        from.storage().free();
        return to;
    }

    @Override
    public long bytes() {
        long sum = 0;
        for (int i = 0; made && i < keys.length; i++) {
            sum += keys[i].storage().byteSize() + values[i].storage().byteSize();
        }
        return sum;
    }

    @Override
    public void free() {
        for (int i = 0; made && i < keys.length; i++) {
            keys[i].storage().free();
            values[i].storage().free();
        }
    }
}
