package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.L;

/**
 * Up to {@link #ROWS} query rows of one batch entry and one key/value head, and the tile of their scores against up to
 * {@link #KEYS} keys, with the memory of both.
 *
 * <p>The tile is transposed, {@code [key][row]}: keys and values are read as they lie, only the queries are transposed,
 * once for all their keys; and the softmax runs down columns, a vector of rows at a time.
 *
 * <p>Rows are numbered position by position and, within a position, head by head of the group that shares the keys: row r
 * is position {@code r / group}, head {@code g * group + r % group}. So keys that were read serve all heads of the group,
 * and fewer positions in a block leave less of it beyond the diagonal.
 */
final class AttentionBlock {
    static final int ROWS = 64;
    static final int KEYS = 64;
    /** Bytes from one key of a score tile to the next. */
    static final long STEP = 4L * ROWS;

    final AttentionShape shape;
    /** D and Dv rounded up to whole vectors. */
    final int keyWidth;
    final int valueWidth;
    /** The tile, and what becomes of it on the way. */
    final long scores;
    int batch;
    int kvHead;
    int rows;
    /** Vectors that hold the rows. */
    int vectors;
    /** Keys of the tile: number of the first one in the segment, and how many. */
    int key;
    int count;
    private final int[] position = new int[ROWS];
    private final int[] head = new int[ROWS];
    // Which keys of the segment at hand each row sees: [from, to), both growing with the row.
    private final int[] from = new int[ROWS];
    private final int[] to = new int[ROWS];
    private long free;

    /** @param more floats of working memory that the pass needs beside the tile's */
    AttentionBlock(AttentionShape shape, long more) {
        this.shape = shape;
        keyWidth = pad(shape.headSize());
        valueWidth = pad(shape.valueSize());
        free = Scratch.get(Scratch.ATTENTION, 4L * (KEYS * ROWS + more));
        scores = take(KEYS * ROWS);
    }

    /** Blocks of all rows of one batch entry and key/value head. */
    static int count(AttentionShape shape) {
        return (shape.queries() * shape.group() + ROWS - 1) / ROWS;
    }

    static int pad(int size) {
        return (size + L - 1) / L * L;
    }

    /** The next {@code floats} floats of this thread's working memory. */
    long take(long floats) {
        long address = free;
        free += 4 * floats;
        return address;
    }

    /** Turns to rows {@code ROWS * block} and on. */
    void at(int newBatch, int newKvHead, int block) {
        batch = newBatch;
        kvHead = newKvHead;
        int group = shape.group();
        int first = block * ROWS;
        rows = Math.min(ROWS, shape.queries() * group - first);
        vectors = (rows + L - 1) / L;
        int p = first / group;
        int h = first % group;
        for (int i = 0; i < rows; i++) {
            position[i] = p;
            head[i] = kvHead * group + h;
            if (++h == group) {
                h = 0;
                p++;
            }
        }
    }

    int position(int row) {
        return position[row];
    }

    int head(int row) {
        return head[row];
    }

    /** Index of a row in a contiguous [B, H, T]. */
    long index(int row) {
        return ((long) batch * shape.heads() + head[row]) * shape.queries() + position[row];
    }

    long address(Heads tensor, int row) {
        return tensor.row(batch, head[row], position[row]);
    }

    /** The rows of a tensor times a factor, as a dense tile of {@code width} columns, zeros up to a whole vector of rows. */
    void load(Heads tensor, int size, int width, float factor, long dense) {
        for (int i = 0; i < rows; i++) {
            AttentionRows.copyScaled(address(tensor, i), dense + 4L * i * width, size, width, factor);
        }
        Mem.zero(dense + 4L * rows * width, 4L * (vectors * L - rows) * width);
    }

    /** What {@link #load} made, transposed to {@code [width][ROWS]}. */
    void transpose(long dense, int width, long columns) {
        for (int v = 0; v < vectors; v++) {
            Transpose.run(dense + 4L * v * L * width, 4L * width, columns + (long) Mem.LB * v, STEP, width / L);
        }
    }

    /** Notes which keys of a segment each row sees. */
    void see(AttentionSegment segment) {
        for (int i = 0; i < rows; i++) {
            from[i] = segment.from(position[i]);
            to[i] = segment.to(position[i]);
        }
    }

    int firstKey() {
        return from[0];
    }

    int endKey() {
        return to[rows - 1];
    }

    private int lastRow(int vector) {
        return Math.min(rows, (vector + 1) * L) - 1;
    }

    /** First key of the tile that a row of the vector sees. */
    int low(int vector) {
        return clamp(from[vector * L] - key);
    }

    /** End of the tile's keys that a row of the vector sees. */
    int high(int vector) {
        return clamp(to[lastRow(vector)] - key);
    }

    private int clamp(int i) {
        return Math.max(0, Math.min(i, count));
    }

    /**
     * {@code out[key][row] = keys . columns}, for those vectors of rows of which one sees the key; the rest of the tile is
     * left as it was.
     *
     * @param keys address of the tile's first key (or value), rows {@code step} bytes apart
     * @param columns {@code [size][ROWS]}, see {@link #transpose}
     */
    void products(long keys, long step, int size, long columns, long out) {
        for (int i = 0; i < count;) {
            int h = GemmPack.tileRows(i, count);
            int v = 0;
            while (v < vectors && high(v) <= i) {
                v++;
            }
            int end = vectors;
            while (end > v && low(end - 1) >= i + h) {
                end--;
            }
            for (int j = v * L; j < end * L;) {
                int width = TilesAdd.width(end * L - j);
                Gemm.tile(width, h, false, keys + i * step, step, 4, columns + 4L * j, STEP, out + i * STEP + 4L * j, STEP, size);
                j += width;
            }
            i += h;
        }
    }

    /** {@code out[rows, width] += tile^T values}, each row over the keys that it sees. */
    void mix(long tile, long values, long step, int width, long out) {
        for (int i = 0; i < rows; i += TilesAdd.ROWS) {
            int h = Math.min(TilesAdd.ROWS, rows - i);
            int first = clamp(from[i] - key);
            int end = clamp(to[i + h - 1] - key);
            if (end > first) {
                TilesAdd.run(h, width, end - first, tile + STEP * first + 4L * i, 4, STEP, values + step * first, step,
                        out + 4L * i * width, 4L * width);
            }
        }
    }

    /** {@code out[count, width] += tile values}, each key over the rows that see it; rows and out dense. */
    void collect(long tile, long values, int width, long out) {
        int first = 0;
        for (int s = 0; s < count; s += TilesAdd.ROWS) {
            int h = Math.min(TilesAdd.ROWS, count - s);
            while (first < rows && to[first] <= key + s) {
                first++;
            }
            int end = rows;
            while (end > first && from[end - 1] >= key + s + h) {
                end--;
            }
            if (end > first) {
                TilesAdd.run(h, width, end - first, tile + STEP * s + 4L * first, STEP, 4, values + 4L * first * width,
                        4L * width, out + 4L * s * width, 4L * width);
            }
        }
    }

    /**
     * Hides from single rows what they do not see of the keys that others of their vector see.
     *
     * @param limits room for L floats
     */
    void hide(long limits) {
        for (int v = 0; v < vectors; v++) {
            long column = scores + (long) Mem.LB * v;
            int low = low(v);
            int high = high(v);
            int allFrom = clamp(from[lastRow(v)] - key);
            int allTo = clamp(to[v * L] - key);
            if (allTo < high) {
                limits(to, v, limits);
                AttentionColumns.hideFrom(column, Math.max(low, allTo), high, limits);
            }
            if (allFrom > low) {
                limits(from, v, limits);
                AttentionColumns.hideBefore(column, low, Math.min(high, allFrom), limits);
            }
        }
    }

    /** Puts zeros where a vector's rows see nothing of the tile. */
    void blank(long tile) {
        for (int v = 0; v < vectors; v++) {
            long column = tile + (long) Mem.LB * v;
            int low = low(v);
            int high = Math.max(low, high(v));
            AttentionColumns.fill(column, low, 0);
            AttentionColumns.fill(column + STEP * high, count - high, 0);
        }
    }

    // Relative to the tile, so that floats hold them.
    private void limits(int[] keys, int v, long limits) {
        for (int l = 0; l < L; l++) {
            Mem.f32(limits + 4L * l, clamp(keys[Math.min(v * L + l, rows - 1)] - key));
        }
    }
}
