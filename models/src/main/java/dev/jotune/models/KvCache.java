package dev.jotune.models;

import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * The keys and values of the tokens so far, as segments of each layer's attention, for decoding without derivatives. Keys
 * are stored as they enter attention, after rotary embedding.
 *
 * <p>Memory: {@code 2 L B G capacity D} elements in one tensor a layer, whose capacity doubles when it is reached. In blocks
 * ({@link #inBlocks}) {@code 2 L G n size D}, for n blocks in use, which rows share where their texts are the same, and
 * buffers for one layer's scattered blocks; the pool grows by half. Layers with a sliding window keep all
 * of it too: cutting the cache back, for speculation or another turn, then never meets a key that is gone.
 */
public final class KvCache implements DecoderCache {
    private final Backend backend;
    private final DType dtype;
    private final List<AttentionSite> sites;
    private KvStorage storage;
    private long batch;
    private long length;
    private boolean[][] visible;
    private boolean masked;
    /** As {@link #padding} gives them; none until they are asked for. */
    private int[] paddings;
    private boolean scattered;

    public KvCache(Backend backend, DType dtype, List<AttentionSite> sites, long batch, long capacity) {
        this(backend, dtype, sites, batch, capacity, new DenseStorage(backend, dtype, sites, batch, capacity));
    }

    KvCache(Backend backend, DType dtype, List<AttentionSite> sites, long batch, long capacity, KvStorage storage) {
        this.backend = backend;
        this.dtype = dtype;
        this.sites = List.copyOf(sites);
        this.batch = batch;
        this.storage = storage;
        this.visible = new boolean[Math.toIntExact(batch)][Math.toIntExact(Math.max(1, capacity))];
    }

    /** {@code cache} as one of keys and values. */
    public static KvCache of(DecoderCache cache, String modelType) {
        if (cache instanceof KvCache c) {
            return c;
        }
        throw new IllegalArgumentException("a " + modelType + " model cannot use a " + cache.getClass().getSimpleName()
                + ". Ask the model itself for a new cache.");
    }

    @Override
    public void inBlocks(int size) {
        if (length > 0) {
            throw new IllegalStateException("a cache that holds " + length + " tokens cannot be put into blocks. Do so first.");
        }
        if (storage instanceof TreeStorage) {
            throw new IllegalStateException("a cache behind a tree of prefixes cannot be put into blocks. Use one or the other.");
        }
        storage.free();
        storage = new PagedStorage(backend, dtype, sites, batch, size);
    }

    /** Bytes of the keys and values, what is held ready included. */
    public long bytes() {
        return storage.bytes();
    }

    @Override
    public long length() {
        return length;
    }

    @Override
    public long before(int row) {
        return storage.before(row);
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
        paddings = null;
        storage.truncate(length);
    }

    /** Makes room for {@code more} tokens and notes which of them are real. Call once per forward pass. */
    public void grow(boolean[][] real, long more) {
        long need = length + more;
        if (real != null) {
            paddings = null;
        }
        storage.reserve(length, need);
        for (int b = 0; b < visible.length; b++) {
            if (need > visible[b].length) {
                visible[b] = Arrays.copyOf(visible[b], Math.toIntExact(Math.max(need, 2L * visible[b].length)));
            }
            for (int t = 0; t < more; t++) {
                boolean see = real == null || real[b][t];
                visible[b][Math.toIntExact(length) + t] = see;
                masked |= !see;
            }
        }
        length = need;
    }

    /** Keys and values {@code [B, G, S, D]} of all tokens so far. */
    public record Stored(Tensor keys, Tensor values) {}

    /**
     * Stores the newest keys and values {@code [B, G, T, D]} of a layer, after {@link #grow}.
     *
     * @param seen what the pass's queries see of all tokens so far
     * @return all tokens so far, as segments of the layer's attention; valid until the next call
     */
    public List<Segment> append(int layer, Tensor k, Tensor v, Visible seen) {
        storage.write(layer, length - k.size(2), k, v);
        return storage.segments(layer, length, seen);
    }

    /** The keys and values {@code [B, G, length, D]} that a layer has stored; valid until the next call. */
    public Stored stored(int layer) {
        return storage.stored(layer, length);
    }

    /** Whether keys and values lie in one tensor a layer. */
    public boolean isWhole() {
        return storage instanceof DenseStorage;
    }

    /**
     * Where tokens lie that are not real, if they are one run in every row: padding before its text.
     *
     * @param runs [2 B] takes the first of each row's and the one behind its last; both 0 where all are real
     * @return false if a row has several runs
     */
    public boolean padding(int[] runs) {
        if (paddings == null) {
            paddings = new int[2 * Math.toIntExact(batch)];
            scattered = false;
            for (int b = 0; b < batch && masked; b++) {
                int from = run(b, 0, false);
                int to = run(b, from, true);
                scattered |= run(b, to, false) < length;
                paddings[2 * b] = from < to ? from : 0;
                paddings[2 * b + 1] = from < to ? to : 0;
            }
        }
        System.arraycopy(paddings, 0, runs, 0, paddings.length);
        return !scattered;
    }

    /** The first token of a row from {@code from} on that is real or not, as asked. */
    private int run(int row, int from, boolean real) {
        int t = from;
        while (t < length && visible[row][t] != real) {
            t++;
        }
        return t;
    }

    /**
     * Puts the tensors {@code [B, G, capacity, D]} of all layers into {@code keys} and {@code values}; they stay the same
     * until the cache grows or is reordered.
     *
     * @throws IllegalStateException if the cache is not {@link #isWhole}
     */
    public void whole(Tensor[] keys, Tensor[] values) {
        if (!(storage instanceof DenseStorage dense)) {
            throw new IllegalStateException("a cache in blocks has no one tensor a layer. Ask isWhole first.");
        }
        dense.whole(keys, values);
    }

    /** Which stored tokens are real, per row; null if all are. */
    public boolean[][] visible() {
        return masked ? visible : null;
    }

    /**
     * @throws IllegalArgumentException if no row is left
     * @throws IndexOutOfBoundsException if there is no such row
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
        if (!same) {
            batch = rows.length;
            paddings = null;
            visible = after;
            storage.reorder(rows, length);
        }
    }

    @Override
    public void free() {
        storage.free();
    }
}
