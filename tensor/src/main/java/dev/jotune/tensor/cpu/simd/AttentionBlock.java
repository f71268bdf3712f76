package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;

import dev.jotune.tensor.DType;

/**
 * Up to {@link #ROWS} query rows of one batch entry and one key/value head, with their working memory.
 *
 * <p>Rows are numbered position by position and, within a position, head by head of the group that shares the
 * keys: row r is position {@code r / group}, head {@code g * group + r % group}. So the keys of a block are packed
 * once for all heads of the group, and a decode step is one small block.
 */
final class AttentionBlock {
    static final int ROWS = 96;
    static final int KEYS = 64;
    /** Bytes from one row of a score tile to the next. */
    static final long STEP = 4L * KEYS;
    /** Up to here rows are multiplied with the keys as they lie, beyond it the keys are packed. */
    private static final int DOT_ROWS = 8;

    final AttentionShape shape;
    /** D and Dv rounded up to whole vectors. */
    final int keyWidth;
    final int valueWidth;
    final int batch;
    final int kvHead;
    final int rows;
    private final int first;
    private long free;

    final long queries;
    final long scores;
    private final long packed;
    private final long padded;
    private final long mask;

    AttentionBlock(AttentionShape shape, int batch, int kvHead, int first, int rows) {
        this.shape = shape;
        this.batch = batch;
        this.kvHead = kvHead;
        this.first = first;
        this.rows = rows;
        keyWidth = pad(shape.headSize());
        valueWidth = pad(shape.valueSize());
        int widest = Math.max(keyWidth, valueWidth);
        // Queries, scores, one packed and one padded block of keys, the mask; then room for what the pass needs.
        free = Scratch.get(Scratch.ATTENTION, 4L * (ROWS * (4L * widest + 3L * KEYS) + 5L * KEYS * widest + KEYS));
        queries = take((long) ROWS * keyWidth);
        scores = take((long) ROWS * KEYS);
        packed = take((long) KEYS * widest);
        padded = take((long) KEYS * widest);
        mask = take(KEYS);
    }

    /** Blocks of all rows of one batch entry and key/value head. */
    static int count(AttentionShape shape) {
        return (shape.queries() * shape.group() + ROWS - 1) / ROWS;
    }

    private static int pad(int size) {
        return (size + L - 1) / L * L;
    }

    /** The next {@code floats} floats of this thread's working memory. */
    long take(long floats) {
        long address = free;
        free += 4 * floats;
        return address;
    }

    int position(int row) {
        return (first + row) / shape.group();
    }

    int head(int row) {
        return kvHead * shape.group() + (first + row) % shape.group();
    }

    /** Index of a row in a contiguous [B, H, T]. */
    long index(int row) {
        return ((long) batch * shape.heads() + head(row)) * shape.queries() + position(row);
    }

    long address(Heads tensor, int row) {
        return tensor.row(batch, head(row), position(row));
    }

    /** Copies the rows of a tensor into a tile of {@code width} columns. */
    void load(Heads tensor, int size, int width, float factor, long to) {
        for (int i = 0; i < rows; i++) {
            AttentionRows.copyScaled(address(tensor, i), to + 4L * i * width, size, width, factor);
        }
    }

    int firstKey(AttentionSegment segment) {
        return segment.from(position(0));
    }

    int endKey(AttentionSegment segment) {
        return segment.to(position(rows - 1));
    }

    /** Rows of the tile times the transposed keys (or values): {@code out[rows, KEYS] = tile[rows, size] keys^T}. */
    void timesKeys(long tile, int width, Heads keys, int size, int key, int count, long out) {
        long k = keys.row(batch, kvHead, key);
        if (rows <= DOT_ROWS) {
            Matrix transposed = new Matrix(k, DType.F32, 1, keys.positionStride());
            GemmDot.group(0, count, rows == 1 ? 8 : 4, rows, size, tile, 4L * width, transposed, out, KEYS, false);
            return;
        }
        GemmPack.packB(DType.F32, k, 1, keys.positionStride(), count, size, KEYS, packed);
        product(rows, pad(count), size, tile, 4L * width, 4, packed, STEP, out, STEP, false);
    }

    /** {@code out[rows, width] += weights[rows, count] values}. */
    void timesValues(long weights, Heads values, int size, int width, int key, int count, long out) {
        long v = values.row(batch, kvHead, key);
        long step = 4 * values.positionStride();
        if (size != width) {
            for (int s = 0; s < count; s++) {
                AttentionRows.copyScaled(v + s * step, padded + 4L * s * width, size, width, 1);
            }
            v = padded;
            step = 4L * width;
        }
        product(rows, width, count, weights, STEP, 4, v, step, out, 4L * width, true);
    }

    /** C (+)= A B for B and C padded to whole vectors; strides in bytes. */
    static void product(int m, int n, int k, long a, long ra, long ca, long b, long rb, long c, long rc,
            boolean add) {
        for (int j = 0; j < n;) {
            int width = Gemm.NR == 4 * L && n - j >= 4 * L ? 4 * L : n - j >= 2 * L ? 2 * L : L;
            for (int i = 0; i < m;) {
                int h = GemmPack.tileRows(i, m);
                Gemm.tile(width, h, add, a + i * ra, ra, ca, b + 4L * j, rb, c + i * rc + 4L * j, rc, k);
                i += h;
            }
            j += width;
        }
    }

    /**
     * Softcap, bias and masks on the score tile of keys {@code [key, key + count)}; hidden and padding places become
     * -inf. Returns the columns in use, whole vectors.
     *
     * @param capped where to keep the softcapped scores for the backward pass, or 0
     */
    int mask(AttentionSegment segment, int key, int count, long capped) {
        int columns = pad(count);
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
                if (capped != 0) {
                    Mem.copy(row, capped + STEP * i, 4L * columns);
                }
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
