package dev.jotune.tensor.cpu.simd;

/**
 * Shares the blocks of queries of all batch entries and key/value heads among tasks, so that each has as many scores to
 * form: under a causal mask the last block has the most keys.
 */
final class AttentionSplit {
    /** Blocks of one batch entry and head. */
    final int blocks;
    private final long[] before;
    private final int pairs;
    private final int tasks;

    AttentionSplit(AttentionShape shape, AttentionSegment[] segments, int pairs, int tasks) {
        this.pairs = pairs;
        this.tasks = tasks;
        blocks = AttentionBlock.count(shape);
        before = new long[blocks + 1];
        for (int j = 0; j < blocks; j++) {
            int first = j * AttentionBlock.ROWS / shape.group();
            int last = Math.min((j + 1) * AttentionBlock.ROWS / shape.group(), shape.queries()) - 1;
            // What a block costs apart from its keys: about a quarter of a tile.
            long keys = AttentionBlock.KEYS / 4;
            for (AttentionSegment s : segments) {
                keys += Math.max(0, s.to(last) - s.from(first));
            }
            before[j + 1] = before[j] + keys;
        }
    }

    /** First unit of a task; unit {@code u} is block {@code u % blocks} of pair {@code u / blocks}. */
    int start(int task) {
        if (task == tasks) {
            return pairs * blocks;
        }
        long all = before[blocks];
        long work = all * pairs / tasks * task + all * pairs % tasks * task / tasks;
        int block = 0;
        while (before[block + 1] <= work % all) {
            block++;
        }
        return (int) (work / all) * blocks + block;
    }
}
