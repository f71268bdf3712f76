package dev.jotune.tensor.cpu.simd;

import java.util.Arrays;

/**
 * Attention over segments, forward: one softmax over the keys of all segments, computed block by block with a
 * running maximum and sum (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., arXiv 2205.14135).
 *
 * <p>Score and output tiles are matrix products of 96 query rows by 64 keys; blocks that no query sees are skipped.
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
        int blocks = AttentionBlock.count(shape);
        int units = shape.batch() * shape.kvHeads() * blocks;
        int tasks = Gemm.tasks(units, work(shape, segments));
        Parallel.run(tasks, task -> {
            int end = (int) ((long) units * (task + 1) / tasks);
            for (int unit = (int) ((long) units * task / tasks); unit < end; unit++) {
                int pair = unit / blocks;
                int first = unit % blocks * AttentionBlock.ROWS;
                int rows = Math.min(AttentionBlock.ROWS, shape.queries() * shape.group() - first);
                block(new AttentionBlock(shape, pair / shape.kvHeads(), pair % shape.kvHeads(), first, rows),
                        q, segments, o, lse);
            }
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

    private static void block(AttentionBlock block, Heads q, AttentionSegment[] segments, Heads o, long lse) {
        AttentionShape shape = block.shape;
        int width = block.valueWidth;
        long out = block.take((long) AttentionBlock.ROWS * width);
        Mem.zero(out, 4L * block.rows * width);
        block.load(q, shape.headSize(), block.keyWidth, shape.scale(), block.queries);
        float[] max = new float[block.rows];
        float[] sum = new float[block.rows];
        Arrays.fill(max, Float.NEGATIVE_INFINITY);
        for (AttentionSegment segment : segments) {
            int end = block.endKey(segment);
            for (int key = block.firstKey(segment); key < end; key += AttentionBlock.KEYS) {
                int count = Math.min(AttentionBlock.KEYS, end - key);
                block.timesKeys(block.queries, block.keyWidth, segment.k(), shape.headSize(), key, count,
                        block.scores);
                int columns = block.mask(segment, key, count, 0);
                for (int i = 0; i < block.rows; i++) {
                    softmax(block.scores + AttentionBlock.STEP * i, columns, max, sum, i, out + 4L * i * width, width);
                }
                block.timesValues(block.scores, segment.v(), shape.valueSize(), width, key, count, out);
            }
        }
        for (int i = 0; i < block.rows; i++) {
            float factor = sum[i] == 0 ? 0 : 1 / sum[i];
            AttentionRows.copyScaled(out + 4L * i * width, block.address(o, i), shape.valueSize(), shape.valueSize(),
                    factor);
            float total = sum[i] == 0 ? Float.NEGATIVE_INFINITY : (float) (max[i] + Math.log(sum[i]));
            Mem.f32(lse + 4 * block.index(i), total);
        }
    }

    // Scores become weights relative to the new running maximum; what was summed so far is brought to it.
    private static void softmax(long row, int columns, float[] max, float[] sum, int i, long out, int width) {
        float before = max[i];
        float now = AttentionRows.max(row, columns);
        if (!(now > before)) {
            now = before;
        }
        if (now == Float.NEGATIVE_INFINITY) {
            // Nothing seen yet. NaN scores are the exception: they must reach the result.
            now = 0;
        }
        float add = AttentionRows.expSum(row, columns, now);
        if (now > before && before != Float.NEGATIVE_INFINITY) {
            float factor = (float) Math.exp(before - now);
            sum[i] *= factor;
            AttentionRows.scale(out, width, factor);
        }
        if (add != 0) {
            max[i] = now;
        }
        sum[i] += add;
    }
}
