package dev.jotune.tensor.cpu.simd;

/**
 * Where the tiles find queries, keys and values: as they lie, or in a dense copy, head by head. A head's rows inside the
 * rows of a projection, {@code [B, T, H, D]}, are too far apart for the processor to fetch ahead, and a read of one head
 * waits for memory at every row; read row by row, all heads at once, they stream. So the copies of some batch entries are
 * made first, in order, and worked on while they are in the cache. What the whole batch shares, a tuned prefix as a rule, is
 * copied once for all of it. Rows that must be whole vectors and are not are padded with zeros.
 */
final class AttentionPack {
    /** Bytes of copies that are made at a time, unless one batch entry alone takes more. */
    private static final long BYTES = 8 << 20;
    /** Most bytes of copies of one batch entry that are not needed but only faster. */
    private static final long MOST = 64 << 20;
    /** Multiply-adds in the time of one copied float: in a step it comes from afar, 80 microseconds for 98,000 of them on one thread. */
    private static final long COPY = 48;
    /** Positions that one task copies. */
    private static final int CHUNK = 64;

    private final int batch;
    private final Heads[] rows;
    private final int[] heads;
    private final int[] lengths;
    private final int[] sizes;
    private final boolean[] copied;
    private final boolean[] shared;
    private final Heads[] views;
    private int count;

    /** @param matrices how many will be added at most */
    AttentionPack(int batch, int matrices) {
        this.batch = batch;
        rows = new Heads[matrices];
        heads = new int[matrices];
        lengths = new int[matrices];
        sizes = new int[matrices];
        copied = new boolean[matrices];
        shared = new boolean[matrices];
        views = new Heads[matrices];
    }

    /** The matrices of a forward or backward pass: keys and values of the segments in turn, then the queries. */
    static AttentionPack of(AttentionShape shape, Heads q, AttentionSegment[] segments, boolean wholeKeys) {
        AttentionPack pack = new AttentionPack(shape.batch(), 2 * segments.length + 2);
        // With one block of queries nothing is read twice.
        boolean worth = AttentionBlock.count(shape) > 1;
        for (AttentionSegment s : segments) {
            pack.add(s.k(), shape.kvHeads(), s.length(), shape.headSize(), wholeKeys, worth);
            pack.add(s.v(), shape.kvHeads(), s.length(), shape.valueSize(), true, worth);
        }
        pack.add(q, shape.heads(), shape.queries(), shape.headSize(), false, worth);
        return pack;
    }

    /**
     * Adds a matrix {@code [batch, heads, length, size]}.
     *
     * @param whole whether its rows must be whole vectors
     * @param worth whether a copy that is only faster is worth its while
     */
    void add(Heads matrix, int headCount, int length, int size, boolean whole, boolean worth) {
        int i = count++;
        rows[i] = matrix;
        heads[i] = headCount;
        lengths[i] = length;
        sizes[i] = size;
        shared[i] = matrix.batchStride() == 0 && batch > 1;
        boolean apart = matrix.positionStride() != size && headCount * length > 1;
        copied[i] = whole && AttentionBlock.pad(size) != size || apart && (shared[i] || worth && 4 * floats(i) <= MOST);
        views[i] = matrix;
    }

    /** Floats of the copy of one batch entry. */
    private long floats(int i) {
        return (long) heads[i] * lengths[i] * AttentionBlock.pad(sizes[i]);
    }

    /** Where to read matrix i now. */
    Heads view(int i) {
        return views[i];
    }

    /** Runs {@code work} for all batch entries, as many at a time as have their copies in the cache. */
    void forEach(Entries work) {
        long floats = 0;
        long common = 0;
        for (int i = 0; i < count; i++) {
            floats += copied[i] && !shared[i] ? floats(i) : 0;
            common += copied[i] && shared[i] ? floats(i) : 0;
        }
        int step = floats == 0 ? batch : (int) Math.max(1, Math.min(batch, BYTES / (4 * floats)));
        long memory = floats + common == 0 ? 0 : Scratch.get(Scratch.ATTENTION_SHARED, 4 * (common + step * floats));
        for (int from = 0; from < batch; from += step) {
            int to = Math.min(batch, from + step);
            long free = memory;
            for (int i = 0; i < count; i++) {
                if (copied[i]) {
                    int entries = shared[i] ? 1 : to - from;
                    if (!shared[i] || from == 0) {
                        copy(i, shared[i] ? 0 : from, entries, free);
                    }
                    int width = AttentionBlock.pad(sizes[i]);
                    long entry = shared[i] ? 0 : floats(i);
                    views[i] = new Heads(free - 4 * entry * from, entry, (long) lengths[i] * width, width);
                    free += 4 * floats(i) * (shared[i] ? 1 : step);
                }
            }
            work.run(from, to);
        }
    }

    /** Work on batch entries {@code [from, to)}. */
    interface Entries {
        void run(int from, int to);
    }

    private void copy(int i, int from, int entries, long target) {
        int chunks = (lengths[i] + CHUNK - 1) / CHUNK;
        int width = AttentionBlock.pad(sizes[i]);
        int tasks = Gemm.tasks(entries * chunks, COPY * entries * floats(i));
        Parallel.run(tasks, task -> {
            int end = (int) ((long) entries * chunks * (task + 1) / tasks);
            for (int unit = (int) ((long) entries * chunks * task / tasks); unit < end; unit++) {
                int entry = unit / chunks;
                int first = unit % chunks * CHUNK;
                int last = Math.min(lengths[i], first + CHUNK);
                for (int s = first; s < last; s++) {
                    long to = target + 4 * (floats(i) * entry + (long) width * s);
                    for (int h = 0; h < heads[i]; h++) {
                        AttentionRows.copyScaled(rows[i].row(from + entry, h, s), to, sizes[i], width, 1);
                        to += 4L * lengths[i] * width;
                    }
                }
            }
        });
    }
}
