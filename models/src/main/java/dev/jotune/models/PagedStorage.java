package dev.jotune.models;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Attention.Segment;
import dev.jotune.autograd.ops.Attention.Visible;
import dev.jotune.models.seam.AttentionSite;
import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Scope;
import dev.jotune.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Keys and values in blocks of a pool, after vLLM's paged attention (Kwon et al., arXiv 2309.06180): each row has a table
 * of blocks, rows share those that they have in common, and one that is shared is copied before it is written to.
 *
 * <p>A layer's pool is {@code [G, blocks * size, D]}, so that neighbouring blocks are one run of keys. A pass attends to
 * runs as segments: one that all rows share is a segment of batch 1, one that lies at even steps is a view, and only what
 * lies scattered is gathered, into a buffer that all layers use in turn.
 */
final class PagedStorage implements KvStorage {
    private final Backend backend;
    private final DType dtype;
    private final List<AttentionSite> sites;
    private final BlockTable table;
    private final Tensor[] keys;
    private final Tensor[] values;
    private final List<Tensor> gathered = new ArrayList<>();
    private long blocks;

    PagedStorage(Backend backend, DType dtype, List<AttentionSite> sites, long batch, int blockSize) {
        this.backend = backend;
        this.dtype = dtype;
        this.sites = sites;
        this.table = new BlockTable(Math.toIntExact(batch), blockSize);
        this.keys = new Tensor[sites.size()];
        this.values = new Tensor[sites.size()];
    }

    @Override
    public void reserve(long from, long to) {
        List<BlockTable.Copy> copies = table.reserve(from, to);
        if (table.poolSize() > blocks) {
            long before = blocks;
            blocks = Math.max(table.poolSize(), before + before / 2);
            for (int i = 0; i < keys.length; i++) {
                keys[i] = larger(keys[i], i, before);
                values[i] = larger(values[i], i, before);
            }
        }
        for (BlockTable.Copy copy : copies) {
            for (int i = 0; i < keys.length; i++) {
                block(keys[i], copy.to()).copyFrom(block(keys[i], copy.from()));
                block(values[i], copy.to()).copyFrom(block(values[i], copy.from()));
            }
        }
    }

    private Tensor larger(Tensor from, int layer, long before) {
        AttentionSite s = sites.get(layer);
        Tensor to = Scope.detach(Tensor.empty(backend, dtype, s.groups(), blocks * table.blockSize(), s.headDim()));
        if (before > 0) {
            to.slice(1, 0, before * table.blockSize()).copyFrom(from);
            from.storage().free();
        }
        return to;
    }

    private Tensor block(Tensor pool, int block) {
        return pool.slice(1, (long) block * table.blockSize(), (block + 1L) * table.blockSize());
    }

    @Override
    public void write(int layer, long from, Tensor k, Tensor v) {
        long to = from + k.size(2);
        for (BlockTable.Run run : table.runs(blocks)) {
            long first = Math.max(from, run.first());
            long last = Math.min(to, run.last());
            if (first >= last) {
                continue;
            }
            if (run.isEven()) {
                view(keys[layer], run).slice(2, first - run.first(), last - run.first()).copyFrom(k.slice(2, first - from, last - from));
                view(values[layer], run).slice(2, first - run.first(), last - run.first()).copyFrom(v.slice(2, first - from, last - from));
                continue;
            }
            for (int row = 0; row < table.rows(); row++) {
                for (long at = first; at < last; ) {
                    long end = Math.min(last, (at / table.blockSize() + 1) * table.blockSize());
                    long place = table.place(row, at);
                    keys[layer].slice(1, place, place + end - at).copyFrom(k.select(0, row).slice(1, at - from, end - from));
                    values[layer].slice(1, place, place + end - at).copyFrom(v.select(0, row).slice(1, at - from, end - from));
                    at = end;
                }
            }
        }
    }

    /** A run that lies evenly, {@code [B or 1, G, tokens, D]}, without a copy. */
    private Tensor view(Tensor pool, BlockTable.Run run) {
        long size = table.blockSize();
        long start = run.block() * size;
        long tokens = run.blocks() * size;
        if (run.step() == 0) {
            return pool.slice(1, start, start + tokens).unsqueeze(0);
        }
        long rows = table.rows();
        return pool.slice(1, start, start + rows * run.step() * size).reshape(pool.size(0), rows, run.step() * size, pool.size(2))
                .slice(2, 0, tokens).transpose(0, 1);
    }

    @Override
    public List<Segment> segments(int layer, long length, Visible visible) {
        List<Segment> segments = new ArrayList<>();
        int buffer = 0;
        for (BlockTable.Run run : table.runs(blocks)) {
            long last = Math.min(run.last(), length);
            if (run.first() >= last) {
                break;
            }
            long tokens = last - run.first();
            Tensor k = run.isEven() ? view(keys[layer], run) : gather(keys[layer], run, buffer++);
            Tensor v = run.isEven() ? view(values[layer], run) : gather(values[layer], run, buffer++);
            segments.add(new Segment(Var.constant(k.slice(2, 0, tokens)), Var.constant(v.slice(2, 0, tokens)),
                    part(visible, run.first(), last)));
        }
        return segments;
    }

    /** What is seen of keys {@code first} to {@code last} of those that {@code all} is about. */
    private static Visible part(Visible all, long first, long last) {
        // Keys before the first query are seen by every query, unless there is a window.
        boolean past = all.causal() && all.window() == 0 && last <= all.offset() + 1;
        Visible part = new Visible(all.causal() && !past, past ? 0 : all.offset() - first, all.window(), all.keyMask(), all.bias());
        if (all.keyMask().isPresent()) {
            part = part.withKeyMask(all.keyMask().get().slice(1, first, last).contiguous());
        }
        return all.bias().isPresent() ? part.withBias(all.bias().get().slice(3, first, last)) : part;
    }

    /** A run that lies scattered, {@code [B, G, tokens, D]}, copied into a buffer. */
    private Tensor gather(Tensor pool, BlockTable.Run run, int buffer) {
        long size = table.blockSize();
        long tokens = run.blocks() * size;
        long need = table.rows() * pool.size(0) * tokens * pool.size(2);
        while (gathered.size() <= buffer) {
            gathered.add(Scope.detach(Tensor.empty(backend, dtype, need)));
        }
        if (gathered.get(buffer).numel() < need) {
            gathered.get(buffer).storage().free();
            gathered.set(buffer, Scope.detach(Tensor.empty(backend, dtype, 2 * need)));
        }
        Tensor all = gathered.get(buffer).slice(0, 0, need).reshape(table.rows(), pool.size(0), tokens, pool.size(2));
        for (int row = 0; row < table.rows(); row++) {
            for (long at = 0; at < tokens; at += size) {
                long place = table.place(row, run.first() + at);
                all.select(0, row).slice(1, at, at + size).copyFrom(pool.slice(1, place, place + size));
            }
        }
        return all;
    }

    @Override
    public KvCache.Stored stored(int layer, long length) {
        BlockTable.Run all = table.whole();
        return new KvCache.Stored(gather(keys[layer], all, 0).slice(2, 0, length), gather(values[layer], all, 1).slice(2, 0, length));
    }

    @Override
    public void truncate(long length) {
        table.truncate(length);
    }

    @Override
    public void reorder(int[] rows, long length) {
        table.reorder(rows);
    }

    @Override
    public long bytes() {
        long sum = 0;
        for (int i = 0; blocks > 0 && i < keys.length; i++) {
            sum += keys[i].storage().byteSize() + values[i].storage().byteSize();
        }
        for (Tensor buffer : gathered) {
            sum += buffer.storage().byteSize();
        }
        return sum;
    }

    @Override
    public void free() {
        for (int i = 0; blocks > 0 && i < keys.length; i++) {
            keys[i].storage().free();
            values[i].storage().free();
        }
        gathered.forEach(buffer -> buffer.storage().free());
        gathered.clear();
        blocks = 0;
    }
}
