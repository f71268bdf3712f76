package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;

import dev.jotune.tensor.DType;

/**
 * Attention forward where a batch entry and key/value head has only a few query rows, as in decoding: too few for the lanes
 * of a transposed tile. Scores are dot products with the keys as they lie, and each row's softmax runs along the row.
 * Rows are numbered as in {@link AttentionBlock}.
 */
final class AttentionFew {
    /** Rows up to which this is faster than transposed tiles, which cost as much for one row as for a vector of them. */
    static final int ROWS = 8;
    private static final int KEYS = 64;
    /** Bytes from one row of a score tile to the next. */
    private static final long STEP = 4L * KEYS;

    private final AttentionShape shape;
    private final int batch;
    private final int kvHead;
    private final int rows;
    private final int keyWidth;
    private final int valueWidth;
    private final long queries;
    private final long scores;
    private final long padded;
    private final long mask;
    private final long out;
    private final long max;
    private final long sum;

    private AttentionFew(AttentionShape shape, int batch, int kvHead) {
        this.shape = shape;
        this.batch = batch;
        this.kvHead = kvHead;
        rows = shape.queries() * shape.group();
        keyWidth = AttentionBlock.pad(shape.headSize());
        valueWidth = AttentionBlock.pad(shape.valueSize());
        queries = Scratch.get(Scratch.ATTENTION, 4L * (ROWS * (keyWidth + valueWidth + KEYS + 2L) + (long) KEYS * (valueWidth + 1)));
        scores = queries + 4L * ROWS * keyWidth;
        padded = scores + STEP * ROWS;
        mask = padded + 4L * KEYS * valueWidth;
        out = mask + STEP;
        max = out + 4L * ROWS * valueWidth;
        sum = max + 4L * ROWS;
    }

    /** {@link Attention#forward} for at most {@link #ROWS} rows. */
    static void forward(AttentionShape shape, Heads q, AttentionSegment[] segments, Heads o, long lse) {
        int pairs = shape.batch() * shape.kvHeads();
        int tasks = Gemm.tasks(pairs, Attention.work(shape, segments));
        Parallel.run(tasks, task -> {
            int end = (int) ((long) pairs * (task + 1) / tasks);
            for (int pair = (int) ((long) pairs * task / tasks); pair < end; pair++) {
                new AttentionFew(shape, pair / shape.kvHeads(), pair % shape.kvHeads()).run(q, segments, o, lse);
            }
        });
    }

    private int position(int row) {
        return row / shape.group();
    }

    private int head(int row) {
        return kvHead * shape.group() + row % shape.group();
    }

    private void run(Heads q, AttentionSegment[] segments, Heads o, long lse) {
        Mem.zero(out, 4L * rows * valueWidth);
        for (int i = 0; i < rows; i++) {
            AttentionRows.copyScaled(q.row(batch, head(i), position(i)), queries + 4L * i * keyWidth, shape.headSize(), keyWidth,
                    shape.scale());
            Mem.f32(max + 4L * i, Float.NEGATIVE_INFINITY);
            Mem.f32(sum + 4L * i, 0);
        }
        for (AttentionSegment segment : segments) {
            int end = segment.to(position(rows - 1));
            for (int key = segment.from(position(0)); key < end; key += KEYS) {
                int count = Math.min(KEYS, end - key);
                Matrix transposed = new Matrix(segment.k().row(batch, kvHead, key), DType.F32, 1, segment.k().positionStride());
                GemmDot.group(0, count, rows == 1 ? 8 : 4, rows, shape.headSize(), queries, 4L * keyWidth, transposed, scores, KEYS,
                        false);
                int columns = mask(segment, key, count);
                for (int i = 0; i < rows; i++) {
                    softmax(scores + STEP * i, columns, i);
                }
                timesValues(segment.v(), key, count);
            }
        }
        for (int i = 0; i < rows; i++) {
            float total = Mem.f32(sum + 4L * i);
            AttentionRows.copyScaled(out + 4L * i * valueWidth, o.row(batch, head(i), position(i)), shape.valueSize(), shape.valueSize(),
                    total == 0 ? 0 : 1 / total);
            Mem.f32(lse + 4 * (((long) batch * shape.heads() + head(i)) * shape.queries() + position(i)),
                    total == 0 ? Float.NEGATIVE_INFINITY : (float) (Mem.f32(max + 4L * i) + Math.log(total)));
        }
    }

    // Scores become weights relative to the new running maximum; what was summed so far is brought to it.
    private void softmax(long row, int columns, int i) {
        float before = Mem.f32(max + 4L * i);
        float now = AttentionRows.max(row, columns);
        if (!(now > before)) {
            now = before;
        }
        if (now == Float.NEGATIVE_INFINITY) {
            // Nothing seen yet. NaN scores are the exception: they must reach the result.
            now = 0;
        }
        float add = AttentionRows.expSum(row, columns, now);
        float total = Mem.f32(sum + 4L * i);
        if (now > before && before != Float.NEGATIVE_INFINITY) {
            float factor = (float) Math.exp(before - now);
            total *= factor;
            AttentionRows.scale(out + 4L * i * valueWidth, valueWidth, factor);
        }
        if (add != 0) {
            Mem.f32(max + 4L * i, now);
        }
        Mem.f32(sum + 4L * i, total + add);
    }

    private void timesValues(Heads values, int key, int count) {
        long v = values.row(batch, kvHead, key);
        long step = 4 * values.positionStride();
        if (shape.valueSize() != valueWidth) {
            for (int s = 0; s < count; s++) {
                AttentionRows.copyScaled(v + s * step, padded + 4L * s * valueWidth, shape.valueSize(), valueWidth, 1);
            }
            v = padded;
            step = 4L * valueWidth;
        }
        TilesAdd.run(rows, valueWidth, count, scores, STEP, 4, v, step, out, 4L * valueWidth);
    }

    /** Softcap, bias and masks; hidden and padding places become -inf. Returns the columns in use, whole vectors. */
    private int mask(AttentionSegment segment, int key, int count) {
        int columns = (count + L - 1) / L * L;
        boolean hidden = segment.visible() != 0;
        if (hidden) {
            long bytes = segment.visible() + batch * segment.visibleBatch() + key;
            for (int j = 0; j < columns; j++) {
                boolean visible = j < count && Mem.i8(bytes + j) != 0;
                Mem.f32(mask + 4L * j, visible ? 0 : Float.NEGATIVE_INFINITY);
            }
        }
        for (int i = 0; i < rows; i++) {
            long row = scores + STEP * i;
            if (segment.softcap() != 0) {
                AttentionRows.softcap(row, columns, segment.softcap());
            }
            if (segment.bias() != 0) {
                long bias = segment.bias() + segment.bias(batch, head(i), position(i), key);
                for (int j = 0; j < count; j++) {
                    Mem.f32(row + 4L * j, Mem.f32(row + 4L * j) + Mem.f32(bias + 4 * segment.biasKey() * j));
                }
            }
            if (hidden) {
                AttentionRows.add(row, mask, columns);
            }
            int t = position(i);
            hide(row, 0, Math.min(segment.from(t) - key, columns));
            hide(row, Math.max(0, Math.min(segment.to(t) - key, count)), columns);
        }
        return columns;
    }

    private static void hide(long row, int from, int to) {
        for (int j = from; j < to; j++) {
            Mem.f32(row + 4L * j, Float.NEGATIVE_INFINITY);
        }
    }
}
