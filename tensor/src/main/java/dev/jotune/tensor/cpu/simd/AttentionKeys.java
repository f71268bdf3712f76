package dev.jotune.tensor.cpu.simd;

/**
 * Where the tiles find keys and values: as they lie, or in a dense copy. Copied once for the whole batch is what all of it
 * shares, a tuned prefix as a rule, whose rows are far apart in its table; copied once for a batch entry and key/value head
 * are rows that are no whole vectors, and rows whose distance would put all of them into the same few lines of the cache.
 */
final class AttentionKeys {
    /** Rows a multiple of this many bytes apart collide in a first-level cache of 64 sets. */
    private static final int COLLIDING = 1024;
    /** Rows farther apart than this lie in a page each. */
    private static final int FAR = 4096;
    /** Blocks of queries below which an optional copy costs more than it gains. */
    private static final int BLOCKS = 2;
    /** The most bytes of an optional copy: it must stay in the second-level cache. */
    private static final long MOST = 1 << 19;

    private final AttentionShape shape;
    /** Keys, then values, of each segment in turn. */
    private final Heads[] rows;
    private final int[] lengths;
    private final int[] sizes;
    private final boolean[] copied;
    private final long[] shared;

    /**
     * Decides, and copies what the batch shares.
     *
     * @param whole whether keys must be whole vectors too, as the backward pass needs them
     */
    AttentionKeys(AttentionShape shape, AttentionSegment[] segments, boolean whole) {
        this.shape = shape;
        int n = 2 * segments.length;
        rows = new Heads[n];
        lengths = new int[n];
        sizes = new int[n];
        copied = new boolean[n];
        shared = new long[n];
        long[] offsets = new long[n];
        long floats = 0;
        for (int i = 0; i < n; i++) {
            AttentionSegment s = segments[i / 2];
            boolean keys = i % 2 == 0;
            rows[i] = keys ? s.k() : s.v();
            lengths[i] = s.length();
            sizes[i] = keys ? shape.headSize() : shape.valueSize();
            boolean ragged = AttentionBlock.pad(sizes[i]) != sizes[i] && (whole || !keys);
            boolean all = rows[i].batchStride() == 0 && shape.batch() > 1;
            copied[i] = ragged || rows[i].positionStride() != sizes[i] && (all || awkward(i));
            offsets[i] = copied[i] && all ? floats : -1;
            floats += copied[i] && all ? shape.kvHeads() * floats(i) : 0;
        }
        long base = floats == 0 ? 0 : Scratch.get(Scratch.ATTENTION_SHARED, 4 * floats);
        for (int i = 0; i < n; i++) {
            if (offsets[i] >= 0) {
                shared[i] = base + 4 * offsets[i];
                int matrix = i;
                Parallel.run(shape.kvHeads(), g -> copy(matrix, 0, g, shared[matrix] + 4 * floats(matrix) * g));
            }
        }
    }

    private boolean awkward(int i) {
        long step = 4 * rows[i].positionStride();
        return (step % COLLIDING == 0 || step > FAR) && AttentionBlock.count(shape) >= BLOCKS && 4 * floats(i) <= MOST;
    }

    /** Floats of the dense copy of one head. */
    private long floats(int i) {
        return (long) lengths[i] * AttentionBlock.pad(sizes[i]);
    }

    private void copy(int i, int b, int g, long to) {
        int width = AttentionBlock.pad(sizes[i]);
        for (int s = 0; s < lengths[i]; s++) {
            AttentionRows.copyScaled(rows[i].row(b, g, s), to + 4L * s * width, sizes[i], width, 1);
        }
    }

    /** Floats that a thread needs for copies of its own. */
    long ownFloats() {
        long floats = 0;
        for (int i = 0; i < rows.length; i++) {
            floats += copied[i] && shared[i] == 0 ? floats(i) : 0;
        }
        return floats;
    }

    /** The keys and values of one batch entry and head at a time, for one thread. */
    final class Pair {
        private final long[] address = new long[rows.length];
        private final long[] step = new long[rows.length];
        private final long memory;
        private int batch = -1;
        private int head = -1;

        /** @param memory room for {@link #ownFloats} floats */
        Pair(long memory) {
            this.memory = memory;
        }

        void at(int b, int g) {
            if (b == batch && g == head) {
                return;
            }
            batch = b;
            head = g;
            long free = memory;
            for (int i = 0; i < rows.length; i++) {
                step[i] = copied[i] ? 4L * AttentionBlock.pad(sizes[i]) : 4 * rows[i].positionStride();
                if (!copied[i]) {
                    address[i] = rows[i].row(b, g, 0);
                } else if (shared[i] != 0) {
                    address[i] = shared[i] + 4 * floats(i) * g;
                } else {
                    copy(i, b, g, free);
                    address[i] = free;
                    free += 4 * floats(i);
                }
            }
        }

        /** Address of a segment's key. */
        long key(int segment, int s) {
            return address[2 * segment] + step[2 * segment] * s;
        }

        long keyStep(int segment) {
            return step[2 * segment];
        }

        /** Address of a segment's value. */
        long value(int segment, int s) {
            return address[2 * segment + 1] + step[2 * segment + 1] * s;
        }

        long valueStep(int segment) {
            return step[2 * segment + 1];
        }
    }
}
