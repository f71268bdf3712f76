package dev.jotune.tensor.cpu.simd;

/**
 * The gradients of keys and values while they are collected: dense, in whole vectors. What one task alone writes lies in its
 * own memory until it is copied out; what several write (a segment shared by the batch, a batch entry whose queries are cut
 * into chunks) has a copy for each, and the copies are added in order at the end, so that the sum does not depend on timing.
 */
final class AttentionSums {
    private final AttentionShape shape;
    /** Of keys, then of values, of each segment in turn; address 0 if not wanted. */
    private final Heads[] targets;
    private final int[] lengths;
    private final int[] sizes;
    private final boolean[] shared;
    private final int chunks;
    private final long[] partials;

    /** @param chunks into how many the queries of a batch entry and key/value head are cut */
    AttentionSums(AttentionShape shape, AttentionSegment[] segments, AttentionGradient[] grads, int chunks) {
        this.shape = shape;
        this.chunks = chunks;
        int n = 2 * segments.length;
        targets = new Heads[n];
        lengths = new int[n];
        sizes = new int[n];
        shared = new boolean[n];
        partials = new long[n];
        long floats = 0;
        for (int i = 0; i < n; i++) {
            boolean keys = i % 2 == 0;
            targets[i] = keys ? grads[i / 2].dk() : grads[i / 2].dv();
            lengths[i] = segments[i / 2].length();
            sizes[i] = keys ? shape.headSize() : shape.valueSize();
            shared[i] = (keys ? segments[i / 2].k() : segments[i / 2].v()).batchStride() == 0 && shape.batch() > 1;
            partials[i] = floats;
            floats += wanted(i) && !own(i) ? floats(i) * shape.kvHeads() * shape.batch() * chunks : 0;
        }
        long base = floats == 0 ? 0 : Scratch.get(Scratch.ATTENTION_SUMS, 4 * floats);
        for (int i = 0; i < n; i++) {
            partials[i] = base + 4 * partials[i];
        }
    }

    private boolean wanted(int i) {
        return targets[i].address() != 0;
    }

    /** Whether one task alone writes a head's gradient. */
    private boolean own(int i) {
        return chunks == 1 && !shared[i];
    }

    private long floats(int i) {
        return (long) lengths[i] * AttentionBlock.pad(sizes[i]);
    }

    private long partial(int i, int b, int g, int chunk) {
        return partials[i] + 4 * floats(i) * (((long) b * chunks + chunk) * shape.kvHeads() + g);
    }

    private void copyOut(int i, long from, int b, int g) {
        int width = AttentionBlock.pad(sizes[i]);
        for (int s = 0; s < lengths[i]; s++) {
            AttentionRows.copyScaled(from + 4L * s * width, targets[i].row(b, g, s), sizes[i], sizes[i], 1);
        }
    }

    /** Adds the partial sums up. */
    void finish() {
        for (int i = 0; i < targets.length; i++) {
            if (wanted(i) && !own(i)) {
                int matrix = i;
                int entries = shared[i] ? 1 : shape.batch();
                Parallel.run(entries * shape.kvHeads(), unit -> add(matrix, unit / shape.kvHeads(), unit % shape.kvHeads()));
            }
        }
    }

    private void add(int i, int b, int g) {
        long sum = partial(i, b, g, 0);
        int last = shared[i] ? shape.batch() - 1 : b;
        for (int entry = b; entry <= last; entry++) {
            for (int chunk = entry == b ? 1 : 0; chunk < chunks; chunk++) {
                AttentionRows.add(sum, partial(i, entry, g, chunk), Math.toIntExact(floats(i)));
            }
        }
        copyOut(i, sum, b, g);
    }

    /** The sums of one task at a time. */
    final class Task {
        private final long[] address = new long[targets.length];
        private final long memory;

        /** @param memory room for {@link #ownFloats} floats */
        Task(long memory) {
            this.memory = memory;
        }

        /** Starts with zeros for one batch entry, head and chunk of queries. */
        void begin(int b, int g, int chunk) {
            long free = memory;
            for (int i = 0; i < targets.length; i++) {
                if (wanted(i)) {
                    address[i] = own(i) ? free : partial(i, b, g, chunk);
                    free += own(i) ? 4 * floats(i) : 0;
                    Mem.zero(address[i], 4 * floats(i));
                }
            }
        }

        /** Writes what is complete. */
        void end(int b, int g) {
            for (int i = 0; i < targets.length; i++) {
                if (wanted(i) && own(i)) {
                    copyOut(i, address[i], b, g);
                }
            }
        }

        /** The gradient of a segment's key. */
        long key(int segment, int s) {
            return address[2 * segment] + 4L * AttentionBlock.pad(shape.headSize()) * s;
        }

        /** The gradient of a segment's value. */
        long value(int segment, int s) {
            return address[2 * segment + 1] + 4L * AttentionBlock.pad(shape.valueSize()) * s;
        }
    }

    /** Floats of a task's own memory. */
    long ownFloats() {
        long floats = 0;
        for (int i = 0; i < targets.length; i++) {
            floats += wanted(i) && own(i) ? floats(i) : 0;
        }
        return floats;
    }
}
