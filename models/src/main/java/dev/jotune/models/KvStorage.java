package dev.jotune.models;

import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.tensor.Tensor;
import java.util.List;

/** Where a {@link KvCache} keeps its keys and values. */
sealed interface KvStorage permits DenseStorage, PagedStorage, TreeStorage {

    /** Makes room for tokens {@code from} to {@code to} of every row; what lies there may be written then. */
    void reserve(long from, long to);

    /** Stores keys and values {@code [B, G, T, D]} of a layer as tokens {@code from} and after. */
    void write(int layer, long from, Tensor k, Tensor v);

    /**
     * The first {@code length} tokens of a layer as segments, in their order; valid until the next call.
     *
     * @param visible what is seen of all of them
     */
    List<Segment> segments(int layer, long length, Visible visible);

    /** Keys and values {@code [B, G, length, D]} of a layer: views, or valid until the next call. */
    KvCache.Stored stored(int layer, long length);

    /** Forgets the tokens from {@code length} on. */
    void truncate(long length);

    /** Makes row i go on from old row {@code rows[i]}, of which the first {@code length} tokens count. */
    void reorder(int[] rows, long length);

    /** Tokens that a row shares with others and that lie before all that were stored here. */
    default long before(int row) {
        return 0;
    }

    /** Bytes of memory taken. */
    long bytes();

    void free();
}
