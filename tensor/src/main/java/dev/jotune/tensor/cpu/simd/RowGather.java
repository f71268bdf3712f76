package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.DType;

/** Rows of a table by number: the embedding and its gradient. */
public final class RowGather {
    private RowGather() {
    }

    /**
     * {@code out[i] = table[indices[i]]}, widened to F32.
     *
     * @param table     address of rows of n contiguous elements, F32, BF16 or F16
     * @param rowStride elements from one table row to the next
     * @param tableRows rows of the table
     * @param indices   address of I64 (or I32, see wide)
     * @param wide      true if the indices are I64
     * @param count     number of indices
     * @param out       address of F32 {@code [count, n]}
     * @throws IndexOutOfBoundsException if an index is not a row of the table
     */
    public static void gather(long table, DType type, long rowStride, long tableRows, int n, long indices, boolean wide,
            long count, long out) {
        GemmPack.check(type);
        Rows.run(count, n, 1, (from, to) -> {
            for (long i = from; i < to; i++) {
                long row = index(indices, wide, i, tableRows);
                GemmPack.widen(type, table + row * rowStride * type.byteSize(), out + 4L * n * i, n);
            }
        });
    }

    /**
     * {@code target[indices[i]] += rows[i]}, in the order of i. Threads take columns, so that equal indices never
     * meet.
     *
     * @param rows       address of F32 {@code [count, n]}
     * @param target     address of F32 rows
     * @param rowStride  elements from one target row to the next
     * @param targetRows rows of the target
     * @throws IndexOutOfBoundsException if an index is not a row of the target; the target may then be partly updated
     */
    public static void scatterAdd(long rows, long indices, boolean wide, long count, int n, long target, long rowStride,
            long targetRows) {
        // Whole cache lines a thread.
        int lines = (n + 15) / 16;
        Rows.run(lines, 16 * count, 2, (from, to) -> {
            int start = (int) from * 16;
            int width = (int) Math.min(n, to * 16) - start;
            for (long i = 0; i < count; i++) {
                long at = target + 4 * (index(indices, wide, i, targetRows) * rowStride + start);
                Arithmetic.add(at, rows + 4 * (n * i + start), at, width);
            }
        });
    }

    private static long index(long indices, boolean wide, long i, long rows) {
        long row = wide ? Mem.i64(indices + 8 * i) : Mem.i32(indices + 4 * i);
        if (row < 0 || row >= rows) {
            throw new IndexOutOfBoundsException("Index " + i + " is row " + row + " of a table of " + rows
                    + " rows. Use indices from 0 to " + (rows - 1) + ".");
        }
        return row;
    }
}
