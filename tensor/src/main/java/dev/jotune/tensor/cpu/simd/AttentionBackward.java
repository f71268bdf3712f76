package dev.jotune.tensor.cpu.simd;

/**
 * Attention over segments, backward. Weights are computed again from the saved lse, tile by tile. With
 * {@code p = e^(s - lse)} and {@code delta = o . do - dlse}:
 *
 * <pre>
 *   dv = p^T do      dp = do v^T      ds = p (dp - delta)      dq = scale ds k      dk = scale ds^T q
 * </pre>
 *
 * <p>All five products read the tile as it lies, {@code [key][row]}, and nothing but q and do is transposed, once a block.
 * A task takes one batch entry and key/value head, or a chunk of its queries where there are too few of these for the
 * threads; see {@link AttentionSums} for what several tasks add to.
 */
public final class AttentionBackward {
    private final AttentionBlock block;
    private final AttentionSegment[] segments;
    private final AttentionGradient[] grads;
    private final AttentionPack pack;
    private final AttentionSums.Task sums;
    private final long q;
    private final long qColumns;
    private final long up;
    private final long upColumns;
    private final long dQuery;
    private final long dScores;
    private final long capped;
    private final long total;
    private final long delta;
    private final long mask;

    private AttentionBackward(AttentionShape shape, AttentionSegment[] segments, AttentionGradient[] grads, AttentionPack pack,
            AttentionSums sums) {
        this.segments = segments;
        this.grads = grads;
        this.pack = pack;
        this.sums = sums.new Task(Scratch.get(Scratch.ATTENTION_PAIR, 4 * sums.ownFloats()));
        boolean cap = false;
        for (AttentionSegment s : segments) {
            cap |= s.softcap() != 0;
        }
        int d = AttentionBlock.pad(shape.headSize());
        int dv = AttentionBlock.pad(shape.valueSize());
        int tile = AttentionBlock.ROWS * AttentionBlock.KEYS;
        block = new AttentionBlock(shape, AttentionBlock.ROWS * (3L * d + 2L * dv + 2) + (cap ? 2L : 1L) * tile
                + AttentionMask.floats(segments));
        q = block.take((long) AttentionBlock.ROWS * d);
        qColumns = block.take((long) AttentionBlock.ROWS * d);
        up = block.take((long) AttentionBlock.ROWS * dv);
        upColumns = block.take((long) AttentionBlock.ROWS * dv);
        dQuery = block.take((long) AttentionBlock.ROWS * d);
        dScores = block.take(tile);
        capped = cap ? block.take(tile) : 0;
        total = block.take(AttentionBlock.ROWS);
        delta = block.take(AttentionBlock.ROWS);
        mask = block.take(AttentionMask.floats(segments));
    }

    /**
     * Gradients of {@link Attention#forward}.
     *
     * @param o     the result of the forward pass
     * @param lse   the result of the forward pass
     * @param dO    gradient of o, {@code [B, H, T, Dv]}
     * @param dLse  address of the gradient of lse, contiguous {@code [B, H, T]}, or 0
     * @param dQ    gradient of q, overwritten; address 0 if not wanted
     * @param grads where the gradients of each segment go
     */
    public static void run(AttentionShape shape, Heads q, AttentionSegment[] segments, Heads o, long lse, Heads dO,
            long dLse, Heads dQ, AttentionGradient[] grads) {
        int pairs = shape.batch() * shape.kvHeads();
        boolean serial = Attention.work(shape, segments) * 5 / 2 < Gemm.TASK;
        boolean ordered = false;
        for (AttentionGradient g : grads) {
            // A broadcast bias collects from several pairs: those must come one after the other.
            ordered |= g.dBias() != 0;
        }
        int wanted = serial || ordered ? 1 : (4 * Parallel.sharedThreads() + pairs - 1) / pairs;
        int chunks = Math.max(1, Math.min(wanted, AttentionBlock.count(shape)));
        AttentionSums sums = new AttentionSums(shape, segments, grads, chunks);
        AttentionSplit split = new AttentionSplit(shape, segments, 1, chunks);
        AttentionPack pack = AttentionPack.of(shape, q, segments, true);
        pack.add(dO, shape.heads(), shape.queries(), shape.valueSize(), false, AttentionBlock.count(shape) > 1);
        boolean inTurn = serial || ordered;
        pack.forEach((from, to) -> {
            long deltas = deltas(shape, from, to, o, dO, dLse);
            Parallel.Task task = unit -> {
                AttentionBackward pass = new AttentionBackward(shape, segments, grads, pack, sums);
                int pair = unit / chunks;
                int b = from + pair / shape.kvHeads();
                pass.run(b, pair % shape.kvHeads(), unit % chunks, split, lse, deltas - 4L * from * shape.heads() * shape.queries(), dQ);
            };
            int units = (to - from) * shape.kvHeads() * chunks;
            if (inTurn) {
                for (int unit = 0; unit < units; unit++) {
                    task.run(unit);
                }
            } else {
                Parallel.run(units, task);
            }
        });
        sums.finish();
    }

    /** {@code o . do - dlse} of batch entries {@code [from, to)}, contiguous {@code [entries, H, T]}: rows as they lie, all heads at once. */
    private static long deltas(AttentionShape shape, int from, int to, Heads o, Heads dO, long dLse) {
        long out = Scratch.get(Scratch.ATTENTION_DELTAS, 4L * (to - from) * shape.heads() * shape.queries());
        Rows.run((long) (to - from) * shape.queries(), (long) shape.heads() * shape.valueSize(), 2, (first, end) -> {
            for (long r = first; r < end; r++) {
                long entry = r / shape.queries();
                long t = r % shape.queries();
                for (int h = 0; h < shape.heads(); h++) {
                    long index = (entry * shape.heads() + h) * shape.queries() + t;
                    float own = dLse == 0 ? 0 : Mem.f32(dLse + 4 * (index + (long) from * shape.heads() * shape.queries()));
                    float dot = AttentionRows.dot(o.row(from + entry, h, t), dO.row(from + entry, h, t), shape.valueSize());
                    Mem.f32(out + 4 * index, dot - own);
                }
            }
        });
        return out;
    }

    private void run(int b, int g, int chunk, AttentionSplit split, long lse, long deltas, Heads dQ) {
        sums.begin(b, g, chunk);
        for (int number = split.start(chunk); number < split.start(chunk + 1); number++) {
            block.at(b, g, number);
            begin(lse, deltas);
            for (int n = 0; n < segments.length; n++) {
                segment(n, dQ.address() != 0);
            }
            end(dQ);
        }
        sums.end(b, g);
    }

    private void begin(long lse, long deltas) {
        AttentionShape shape = block.shape;
        block.load(pack.view(2 * segments.length), shape.headSize(), block.keyWidth, shape.scale(), q);
        block.transpose(q, block.keyWidth, qColumns);
        block.load(pack.view(2 * segments.length + 1), shape.valueSize(), block.valueWidth, 1, up);
        block.transpose(up, block.valueWidth, upColumns);
        for (int i = 0; i < block.vectors * Mem.L; i++) {
            float sum = i < block.rows ? Mem.f32(lse + 4 * block.index(i)) : Float.NEGATIVE_INFINITY;
            // A row that sees nothing: e^(s - inf) = 0 whatever s is.
            boolean seen = sum != Float.NEGATIVE_INFINITY;
            Mem.f32(total + 4L * i, seen ? sum : Float.POSITIVE_INFINITY);
            Mem.f32(delta + 4L * i, seen ? Mem.f32(deltas + 4 * block.index(i)) : 0);
        }
        Mem.zero(dQuery, 4L * block.rows * block.keyWidth);
    }

    private void segment(int n, boolean wantsQuery) {
        AttentionSegment segment = segments[n];
        AttentionGradient grad = grads[n];
        if (grad.isEmpty() && !wantsQuery) {
            return;
        }
        AttentionMask masks = new AttentionMask(block, segment, mask);
        Heads keys = pack.view(2 * n);
        Heads values = pack.view(2 * n + 1);
        long keyStep = 4 * keys.positionStride();
        block.see(segment);
        int end = block.endKey();
        for (int key = block.firstKey(); key < end; key += AttentionBlock.KEYS) {
            block.key = key;
            block.count = Math.min(AttentionBlock.KEYS, end - key);
            long k = keys.row(block.batch, block.kvHead, key);
            long v = values.row(block.batch, block.kvHead, key);
            block.products(k, keyStep, block.shape.headSize(), qColumns, block.scores);
            masks.apply(capped);
            block.products(v, 4 * values.positionStride(), block.shape.valueSize(), upColumns, dScores);
            derive(segment, masks, grad.dBias());
            if (grad.dv().address() != 0) {
                block.collect(block.scores, up, block.valueWidth, sums.value(n, key));
            }
            if (grad.dk().address() != 0) {
                block.collect(dScores, q, block.keyWidth, sums.key(n, key));
            }
            if (wantsQuery) {
                block.mix(dScores, k, keyStep, block.keyWidth, dQuery);
            }
        }
    }

    // Scores become weights, the products of the outputs' gradient with the values that of the scores.
    private void derive(AttentionSegment segment, AttentionMask masks, long dBias) {
        for (int v = 0; v < block.vectors; v++) {
            long lane = (long) Mem.LB * v;
            int low = block.low(v);
            long column = lane + AttentionBlock.STEP * low;
            AttentionColumns.gradient(block.scores + column, dScores + column, block.high(v) - low, total + lane, delta + lane);
        }
        block.blank(block.scores);
        block.blank(dScores);
        if (dBias != 0) {
            masks.biasGradient(dScores, dBias);
        }
        if (segment.softcap() != 0) {
            masks.softcapGradient(dScores, capped);
            block.blank(dScores);
        }
    }

    private void end(Heads dQ) {
        int d = block.shape.headSize();
        for (int i = 0; i < block.rows && dQ.address() != 0; i++) {
            AttentionRows.copyScaled(dQuery + 4L * i * block.keyWidth, block.address(dQ, i), d, d,
                    block.shape.scale());
        }
    }
}
