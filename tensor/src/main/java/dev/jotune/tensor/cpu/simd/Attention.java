package dev.jotune.tensor.cpu.simd;

/**
 * Attention over segments, forward: one softmax over the keys of all segments, computed tile by tile with a running
 * reference and sum (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135).
 *
 * <p>A tile is 64 query rows by 64 keys, see {@link AttentionBlock}. Tiles that no query sees are skipped, and of those on
 * the diagonal only the part that is seen is computed, in steps of a vector of queries.
 */
public final class Attention {
    private Attention() {
    }

    /**
     * {@code o = softmax(scale q k^T ...) v} and the logarithm of the softmax's denominator.
     *
     * @param q        {@code [B, H, T, D]}
     * @param segments keys and values
     * @param o        {@code [B, H, T, Dv]}; rows of queries that see no key become 0
     * @param lse      address of F32, contiguous {@code [B, H, T]}; -inf for queries that see no key
     */
    public static void forward(AttentionShape shape, Heads q, AttentionSegment[] segments, Heads o, long lse) {
        if (shape.queries() * shape.group() <= AttentionFew.ROWS) {
            AttentionFew.forward(shape, q, segments, o, lse);
            return;
        }
        AttentionPack pack = AttentionPack.of(shape, q, segments, false);
        pack.forEach((from, to) -> {
            int pairs = (to - from) * shape.kvHeads();
            int tasks = Gemm.tasks(pairs * AttentionBlock.count(shape), work(shape, segments) / shape.batch() * (to - from));
            AttentionSplit split = new AttentionSplit(shape, segments, pairs, tasks);
            Parallel.run(tasks, task -> {
                Forward pass = new Forward(shape, segments, pack);
                int end = split.start(task + 1);
                for (int unit = split.start(task); unit < end; unit++) {
                    int pair = unit / split.blocks;
                    pass.block(from + pair / shape.kvHeads(), pair % shape.kvHeads(), unit % split.blocks, o, lse);
                }
            });
        });
    }

    /** Multiply-adds of the forward pass if nothing is skipped. */
    static long work(AttentionShape shape, AttentionSegment[] segments) {
        long keys = 0;
        for (AttentionSegment segment : segments) {
            keys += segment.length();
        }
        return keys * shape.batch() * shape.heads() * shape.queries() * (shape.headSize() + shape.valueSize());
    }

    /** What one thread works with. */
    private static final class Forward {
        private final AttentionBlock block;
        private final AttentionSegment[] segments;
        private final AttentionPack pack;
        private final long columns;
        /** The queries on their way in, and the sums of weighted values. */
        private final long rows;
        private final long reference;
        private final long sum;
        private final long largest;
        private final long factor;
        private final long mask;

        Forward(AttentionShape shape, AttentionSegment[] segments, AttentionPack pack) {
            this.segments = segments;
            this.pack = pack;
            int d = AttentionBlock.pad(shape.headSize());
            int widest = Math.max(d, AttentionBlock.pad(shape.valueSize()));
            block = new AttentionBlock(shape, AttentionBlock.ROWS * (d + widest + 4L) + AttentionMask.floats(segments));
            columns = block.take((long) AttentionBlock.ROWS * d);
            rows = block.take((long) AttentionBlock.ROWS * widest);
            reference = block.take(AttentionBlock.ROWS);
            sum = block.take(AttentionBlock.ROWS);
            largest = block.take(AttentionBlock.ROWS);
            factor = block.take(AttentionBlock.ROWS);
            mask = block.take(AttentionMask.floats(segments));
        }

        void block(int b, int g, int number, Heads o, long lse) {
            AttentionShape shape = block.shape;
            block.at(b, g, number);
            block.load(pack.view(2 * segments.length), shape.headSize(), block.keyWidth, shape.scale(), rows);
            block.transpose(rows, block.keyWidth, columns);
            Mem.zero(rows, 4L * block.rows * block.valueWidth);
            AttentionRows.fill(reference, AttentionBlock.ROWS, Float.NEGATIVE_INFINITY);
            AttentionRows.fill(sum, AttentionBlock.ROWS, 0);
            for (int n = 0; n < segments.length; n++) {
                AttentionMask masks = new AttentionMask(block, segments[n], mask);
                Heads keys = pack.view(2 * n);
                Heads values = pack.view(2 * n + 1);
                block.see(segments[n]);
                int end = block.endKey();
                for (int key = block.firstKey(); key < end; key += AttentionBlock.KEYS) {
                    block.key = key;
                    block.count = Math.min(AttentionBlock.KEYS, end - key);
                    block.products(keys.row(b, g, key), 4 * keys.positionStride(), shape.headSize(), columns, block.scores);
                    masks.apply(0);
                    softmax();
                    block.mix(block.scores, values.row(b, g, key), 4 * values.positionStride(), block.valueWidth, rows);
                }
            }
            finish(o, lse);
        }

        // Scores become weights relative to the reference; where that has been outgrown, what was summed is brought to a new one.
        private void softmax() {
            for (int v = 0; v < block.vectors; v++) {
                int low = block.low(v);
                int n = block.high(v) - low;
                if (n <= 0) {
                    continue;
                }
                long lane = (long) Mem.LB * v;
                long column = block.scores + lane + AttentionBlock.STEP * low;
                if (AttentionColumns.outgrows(column, n, reference + lane, largest + lane)) {
                    AttentionColumns.raise(reference + lane, largest + lane, sum + lane, factor + lane);
                    for (int i = v * Mem.L; i < Math.min(block.rows, (v + 1) * Mem.L); i++) {
                        AttentionRows.scale(rows + 4L * i * block.valueWidth, block.valueWidth, Mem.f32(factor + 4L * i));
                    }
                }
                AttentionColumns.weights(column, n, reference + lane, sum + lane);
            }
        }

        private void finish(Heads o, long lse) {
            for (int v = 0; v < block.vectors; v++) {
                long lane = (long) Mem.LB * v;
                AttentionColumns.finish(reference + lane, sum + lane, factor + lane, largest + lane);
            }
            int size = block.shape.valueSize();
            for (int i = 0; i < block.rows; i++) {
                AttentionRows.copyScaled(rows + 4L * i * block.valueWidth, block.address(o, i), size, size, Mem.f32(factor + 4L * i));
                Mem.f32(lse + 4 * block.index(i), Mem.f32(largest + 4L * i));
            }
        }
    }
}
