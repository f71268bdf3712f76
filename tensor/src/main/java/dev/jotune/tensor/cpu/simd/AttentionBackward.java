package dev.jotune.tensor.cpu.simd;

/**
 * Attention over segments, backward. Weights are computed again from the saved lse, block by block. With
 * {@code p = e^(s - lse)} and {@code delta = o . do - dlse}:
 *
 * <pre>
 *   dv = p^T do      dp = do v^T      ds = p (dp - delta)      dq = scale ds k      dk = scale ds^T q
 * </pre>
 *
 * <p>One task per batch entry and key/value head, so that no two tasks write the same gradient; the gradients of a
 * segment shared by the batch are kept per batch entry and summed in order at the end.
 */
public final class AttentionBackward {
    private AttentionBackward() {
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
        // Per batch entry copies of shared gradients: all of dk, then all of dv, segment by segment.
        long[] partials = new long[2 * segments.length];
        long floats = 0;
        boolean serial = false;
        for (int i = 0; i < segments.length; i++) {
            partials[2 * i] = -1;
            partials[2 * i + 1] = -1;
            if (grads[i].dk() != 0 && shared(segments[i].k(), shape)) {
                partials[2 * i] = floats;
                floats += size(shape, segments[i], shape.headSize()) * shape.batch();
            }
            if (grads[i].dv() != 0 && shared(segments[i].v(), shape)) {
                partials[2 * i + 1] = floats;
                floats += size(shape, segments[i], shape.valueSize()) * shape.batch();
            }
            // A broadcast bias collects from several pairs: those must come one after the other.
            serial |= grads[i].dBias() != 0;
        }
        long base = floats > 0 ? Scratch.get(Scratch.ATTENTION_SHARED, 4 * floats) : 0;
        Parallel.Task task = pair -> pair(shape, pair / shape.kvHeads(), pair % shape.kvHeads(), q, segments, o, lse,
                dO, dLse, dQ, grads, partials, base);
        if (serial || Attention.work(shape, segments) * 5 / 2 < Gemm.TASK) {
            for (int pair = 0; pair < pairs; pair++) {
                task.run(pair);
            }
        } else {
            Parallel.run(pairs, task);
        }
        for (int i = 0; i < segments.length; i++) {
            if (partials[2 * i] >= 0) {
                sum(shape.batch(), base + 4 * partials[2 * i], size(shape, segments[i], shape.headSize()),
                        grads[i].dk());
            }
            if (partials[2 * i + 1] >= 0) {
                sum(shape.batch(), base + 4 * partials[2 * i + 1], size(shape, segments[i], shape.valueSize()),
                        grads[i].dv());
            }
        }
    }

    private static boolean shared(Heads tensor, AttentionShape shape) {
        return tensor.batchStride() == 0 && shape.batch() > 1;
    }

    /** Elements of [G, S, size]. */
    private static long size(AttentionShape shape, AttentionSegment segment, int size) {
        return (long) shape.kvHeads() * segment.length() * size;
    }

    private static void sum(int batch, long partials, long size, long target) {
        int tasks = (int) Math.max(1, Math.min(size / 65536, 4L * Parallel.sharedThreads()));
        Parallel.run(tasks, t -> {
            long from = size * t / tasks;
            long to = size * (t + 1) / tasks;
            for (long i = from; i < to; i++) {
                float total = 0;
                for (int b = 0; b < batch; b++) {
                    total += Mem.f32(partials + 4 * (b * size + i));
                }
                Mem.f32(target + 4 * i, total);
            }
        });
    }

    private static void pair(AttentionShape shape, int b, int g, Heads q, AttentionSegment[] segments, Heads o,
            long lse, Heads dO, long dLse, Heads dQ, AttentionGradient[] grads, long[] partials, long base) {
        long[] dk = new long[segments.length];
        long[] dv = new long[segments.length];
        for (int i = 0; i < segments.length; i++) {
            int length = segments[i].length();
            dk[i] = target(grads[i].dk(), partials[2 * i], base, shape, b, g, length, shape.headSize());
            dv[i] = target(grads[i].dv(), partials[2 * i + 1], base, shape, b, g, length, shape.valueSize());
        }
        int all = shape.queries() * shape.group();
        for (int first = 0; first < all; first += AttentionBlock.ROWS) {
            int rows = Math.min(AttentionBlock.ROWS, all - first);
            block(new AttentionBlock(shape, b, g, first, rows), q, segments, o, lse, dO, dLse, dQ, grads, dk, dv);
        }
    }

    // The place of one pair's [S, size] gradient, zeroed; 0 if not wanted.
    private static long target(long grad, long partial, long base, AttentionShape shape, int b, int g, int length,
            int size) {
        if (grad == 0) {
            return 0;
        }
        long start = partial >= 0 ? base + 4 * partial : grad;
        long address = start + 4L * ((long) b * shape.kvHeads() + g) * length * size;
        Mem.zero(address, 4L * length * size);
        return address;
    }

    private static void block(AttentionBlock block, Heads q, AttentionSegment[] segments, Heads o, long lse, Heads dO,
            long dLse, Heads dQ, AttentionGradient[] grads, long[] dk, long[] dv) {
        AttentionShape shape = block.shape;
        int d = shape.headSize();
        int dValue = shape.valueSize();
        int width = block.keyWidth;
        int valueWidth = block.valueWidth;
        long dOut = block.take((long) AttentionBlock.ROWS * valueWidth);
        long dQuery = block.take((long) AttentionBlock.ROWS * width);
        long dScores = block.take((long) AttentionBlock.ROWS * AttentionBlock.KEYS);
        long capped = block.take((long) AttentionBlock.ROWS * AttentionBlock.KEYS);
        long tile = block.take((long) AttentionBlock.KEYS * Math.max(width, valueWidth));
        block.load(q, d, width, shape.scale(), block.queries);
        block.load(dO, dValue, valueWidth, 1, dOut);
        Mem.zero(dQuery, 4L * block.rows * width);
        float[] total = new float[block.rows];
        float[] delta = new float[block.rows];
        for (int i = 0; i < block.rows; i++) {
            long index = block.index(i);
            total[i] = Mem.f32(lse + 4 * index);
            delta[i] = AttentionRows.dot(block.address(o, i), dOut + 4L * i * valueWidth, dValue);
            if (dLse != 0) {
                delta[i] -= Mem.f32(dLse + 4 * index);
            }
        }
        for (int n = 0; n < segments.length; n++) {
            AttentionSegment segment = segments[n];
            long dBias = grads[n].dBias();
            if (dk[n] == 0 && dv[n] == 0 && dBias == 0 && dQ.address() == 0) {
                continue;
            }
            int end = block.endKey(segment);
            for (int key = block.firstKey(segment); key < end; key += AttentionBlock.KEYS) {
                int count = Math.min(AttentionBlock.KEYS, end - key);
                block.timesKeys(block.queries, width, segment.k(), d, key, count, block.scores);
                int columns = block.mask(segment, key, count, capped);
                block.timesKeys(dOut, valueWidth, segment.v(), dValue, key, count, dScores);
                for (int i = 0; i < block.rows; i++) {
                    long row = AttentionBlock.STEP * i;
                    if (total[i] == Float.NEGATIVE_INFINITY) {
                        Mem.zero(block.scores + row, 4L * columns);
                        Mem.zero(dScores + row, 4L * columns);
                    } else {
                        AttentionRows.gradient(block.scores + row, dScores + row, columns, total[i], delta[i]);
                    }
                    if (dBias != 0) {
                        bias(block, segment, i, key, count, dScores + row, dBias);
                    }
                    if (segment.softcap() != 0) {
                        AttentionRows.softcapGradient(dScores + row, capped + row, columns, segment.softcap());
                    }
                }
                if (dv[n] != 0) {
                    collect(block.scores, count, dValue, valueWidth, block.rows, dOut, tile,
                            dv[n] + 4L * key * dValue);
                }
                if (dk[n] != 0) {
                    collect(dScores, count, d, width, block.rows, block.queries, tile, dk[n] + 4L * key * d);
                }
                if (dQ.address() != 0) {
                    block.timesValues(dScores, segment.k(), d, width, key, count, dQuery);
                }
            }
        }
        for (int i = 0; i < block.rows && dQ.address() != 0; i++) {
            AttentionRows.copyScaled(dQuery + 4L * i * width, block.address(dQ, i), d, d, shape.scale());
        }
    }

    // target[count, size] += weights[rows, count]^T values[rows, width], by way of a padded tile if size is no whole
    // number of vectors.
    private static void collect(long weights, int count, int size, int width, int rows, long values, long tile,
            long target) {
        if (size == width) {
            AttentionBlock.product(count, width, rows, weights, 4, AttentionBlock.STEP, values, 4L * width, target,
                    4L * size, true);
            return;
        }
        AttentionBlock.product(count, width, rows, weights, 4, AttentionBlock.STEP, values, 4L * width, tile,
                4L * width, false);
        for (int s = 0; s < count; s++) {
            for (int j = 0; j < size; j++) {
                long at = target + 4L * (s * size + j);
                Mem.f32(at, Mem.f32(at) + Mem.f32(tile + 4L * (s * width + j)));
            }
        }
    }

    private static void bias(AttentionBlock block, AttentionSegment segment, int i, int key, int count, long dRow,
            long dBias) {
        long target = dBias + segment.bias(block.batch, block.head(i), block.position(i), key);
        for (int j = 0; j < count; j++) {
            long at = target + 4 * segment.biasKey() * j;
            Mem.f32(at, Mem.f32(at) + Mem.f32(dRow + 4L * j));
        }
    }
}
