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
    private final AttentionKeys.Pair keys;
    private final AttentionSums.Task sums;
    private final long q;
    private final long qColumns;
    private final long up;
    private final long upColumns;
    /** The outputs on their way into delta, then the gradient of the queries. */
    private final long dQuery;
    private final long dScores;
    private final long capped;
    private final long total;
    private final long delta;
    private final long squares;
    private final long mask;

    private AttentionBackward(AttentionShape shape, AttentionSegment[] segments, AttentionGradient[] grads, AttentionKeys keys,
            AttentionSums sums) {
        this.segments = segments;
        this.grads = grads;
        long own = 4 * sums.ownFloats();
        long memory = Scratch.get(Scratch.ATTENTION_PAIR, own + 4 * keys.ownFloats());
        this.sums = sums.new Task(memory);
        this.keys = keys.new Pair(memory + own);
        boolean cap = false;
        for (AttentionSegment s : segments) {
            cap |= s.softcap() != 0;
        }
        int d = AttentionBlock.pad(shape.headSize());
        int dv = AttentionBlock.pad(shape.valueSize());
        int tile = AttentionBlock.ROWS * AttentionBlock.KEYS;
        block = new AttentionBlock(shape, AttentionBlock.ROWS * (2L * d + 2L * dv + Math.max(d, dv) + 2) + (cap ? 2L : 1L) * tile
                + 2L * Mem.L * Mem.L + AttentionMask.floats(segments));
        q = block.take((long) AttentionBlock.ROWS * d);
        qColumns = block.take((long) AttentionBlock.ROWS * d);
        up = block.take((long) AttentionBlock.ROWS * dv);
        upColumns = block.take((long) AttentionBlock.ROWS * dv);
        dQuery = block.take((long) AttentionBlock.ROWS * Math.max(d, dv));
        dScores = block.take(tile);
        capped = cap ? block.take(tile) : 0;
        total = block.take(AttentionBlock.ROWS);
        delta = block.take(AttentionBlock.ROWS);
        squares = block.take(2L * Mem.L * Mem.L);
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
        AttentionKeys keys = new AttentionKeys(shape, segments, true);
        AttentionSums sums = new AttentionSums(shape, segments, grads, chunks);
        AttentionSplit split = new AttentionSplit(shape, segments, 1, chunks);
        Parallel.Task task = unit -> {
            AttentionBackward pass = new AttentionBackward(shape, segments, grads, keys, sums);
            int pair = unit / chunks;
            int chunk = unit % chunks;
            int b = pair / shape.kvHeads();
            int g = pair % shape.kvHeads();
            pass.keys.at(b, g);
            pass.sums.begin(b, g, chunk);
            for (int number = split.start(chunk); number < split.start(chunk + 1); number++) {
                pass.block.at(b, g, number);
                pass.begin(q, o, lse, dO, dLse);
                for (int n = 0; n < segments.length; n++) {
                    pass.segment(n, dQ.address() != 0);
                }
                pass.end(dQ);
            }
            pass.sums.end(b, g);
        };
        if (serial || ordered) {
            for (int unit = 0; unit < pairs * chunks; unit++) {
                task.run(unit);
            }
        } else {
            Parallel.run(pairs * chunks, task);
        }
        sums.finish();
    }

    private void begin(Heads queries, Heads o, long lse, Heads dO, long dLse) {
        AttentionShape shape = block.shape;
        int d = block.keyWidth;
        int dv = block.valueWidth;
        block.load(queries, shape.headSize(), d, shape.scale(), q);
        block.transpose(q, d, qColumns);
        block.load(dO, shape.valueSize(), dv, 1, up);
        block.transpose(up, dv, upColumns);
        block.load(o, shape.valueSize(), dv, 1, dQuery);
        for (int i = 0; i < block.vectors * Mem.L; i += Mem.L) {
            AttentionColumns.dots(dQuery + 4L * i * dv, up + 4L * i * dv, dv, squares, delta + 4L * i);
        }
        for (int i = 0; i < block.vectors * Mem.L; i++) {
            float sum = i < block.rows ? Mem.f32(lse + 4 * block.index(i)) : Float.NEGATIVE_INFINITY;
            // A row that sees nothing: e^(s - inf) = 0 whatever s is.
            boolean seen = sum != Float.NEGATIVE_INFINITY;
            Mem.f32(total + 4L * i, seen ? sum : Float.POSITIVE_INFINITY);
            float own = dLse == 0 || !seen ? 0 : Mem.f32(dLse + 4 * block.index(i));
            Mem.f32(delta + 4L * i, seen ? Mem.f32(delta + 4L * i) - own : 0);
        }
        Mem.zero(dQuery, 4L * block.rows * d);
    }

    private void segment(int n, boolean wantsQuery) {
        AttentionSegment segment = segments[n];
        AttentionGradient grad = grads[n];
        if (grad.isEmpty() && !wantsQuery) {
            return;
        }
        AttentionMask masks = new AttentionMask(block, segment, mask);
        block.see(segment);
        int end = block.endKey();
        for (int key = block.firstKey(); key < end; key += AttentionBlock.KEYS) {
            block.key = key;
            block.count = Math.min(AttentionBlock.KEYS, end - key);
            block.products(keys.key(n, key), keys.keyStep(n), block.shape.headSize(), qColumns, block.scores);
            masks.apply(capped);
            block.products(keys.value(n, key), keys.valueStep(n), block.shape.valueSize(), upColumns, dScores);
            derive(segment, masks, grad.dBias());
            if (grad.dv().address() != 0) {
                block.collect(block.scores, up, block.valueWidth, sums.value(n, key));
            }
            if (grad.dk().address() != 0) {
                block.collect(dScores, q, block.keyWidth, sums.key(n, key));
            }
            if (wantsQuery) {
                block.mix(dScores, keys.key(n, key), keys.keyStep(n), block.keyWidth, dQuery);
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
