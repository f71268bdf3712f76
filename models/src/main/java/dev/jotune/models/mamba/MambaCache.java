package dev.jotune.models.mamba;

import dev.jotune.models.DecoderCache;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * What a Mamba remembers of the tokens so far: for each layer the last K - 1 inputs of the convolution and the state of
 * the scan. Its size does not depend on the text: {@code 2 L B E (K - 1 + N)} elements, the factor 2 because the states
 * before the last pass are kept too.
 *
 * <p>A state cannot be run backwards, so {@link #truncate} reaches the beginning and the point before the last pass only.
 */
public final class MambaCache implements DecoderCache {
    private final Backend backend;
    private final DType dtype;
    private final long[][] sizes;
    private final int layers;
    private long batch;
    private long length;
    /** Length before the last pass; -1 where those states are gone. */
    private long earlier = -1;
    private Tensor[] now;
    private Tensor[] before;

    MambaCache(Backend backend, DType dtype, MambaConfig config, long batch) {
        this.backend = backend;
        this.dtype = dtype;
        this.layers = config.numHiddenLayers();
        this.sizes = new long[][] {{config.convKernel() - 1, config.intermediateSize()}, {config.intermediateSize(), config.stateSize()}};
        this.batch = batch;
        this.now = zeros();
        this.before = zeros();
    }

    private Tensor[] zeros() {
        Tensor[] out = new Tensor[2 * layers];
        for (int i = 0; i < out.length; i++) {
            long[] size = sizes[i % 2];
            out[i] = Scope.detach(Tensor.zeros(backend, dtype, batch, size[0], size[1]));
        }
        return out;
    }

    @Override
    public long length() {
        return length;
    }

    @Override
    public long batch() {
        return batch;
    }

    /** The last inputs of a layer's convolution, {@code [B, K - 1, E]}, zero where the text has not begun. A view. */
    public Tensor convolution(int layer) {
        return now[2 * layer];
    }

    /** The state of a layer's scan after the last token, {@code [B, E, N]}. A view. */
    public Tensor state(int layer) {
        return now[2 * layer + 1];
    }

    /**
     * One pass further.
     *
     * @param made for each layer what {@link #convolution} and {@link #state} have to give from now on
     */
    void advance(List<Tensor> made, long tokens) {
        Tensor[] free = before;
        before = now;
        now = free;
        for (int i = 0; i < now.length; i++) {
            now[i].copyFrom(made.get(i));
        }
        earlier = length;
        length += tokens;
    }

    @Override
    public void truncate(long newLength) {
        if (newLength < 0 || newLength > length) {
            throw new IllegalArgumentException("cannot cut a cache of " + length + " tokens to " + newLength);
        }
        if (newLength == length) {
            return;
        }
        if (newLength == 0) {
            Arrays.stream(now).forEach(t -> backend.fill(t, 0));
        } else if (newLength == earlier) {
            Tensor[] free = now;
            now = before;
            before = free;
        } else {
            throw new UnsupportedOperationException("the state after " + length + " tokens cannot be taken back to " + newLength
                    + ": a Mamba keeps the states after its last pass" + (earlier > 0 ? " and before it (" + earlier + " tokens)" : "")
                    + " only. Cut to 0 and read the text again.");
        }
        length = newLength;
        earlier = -1;
    }

    @Override
    public void reorder(int[] rows) {
        Tensor order = Tensor.of(backend, Arrays.stream(rows).asLongStream().toArray(), rows.length);
        batch = rows.length;
        now = taken(now, order);
        before = taken(before, order);
    }

    private Tensor[] taken(Tensor[] from, Tensor order) {
        Tensor[] to = zeros();
        for (int i = 0; i < to.length; i++) {
            if (to[i].numel() > 0) {
                backend.gather(from[i].reshape(from[i].size(0), -1), order, to[i].reshape(batch, -1));
            }
            from[i].storage().free();
        }
        return to;
    }

    @Override
    public void free() {
        Arrays.stream(now).forEach(t -> t.storage().free());
        Arrays.stream(before).forEach(t -> t.storage().free());
    }
}
