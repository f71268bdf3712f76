package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.Tensor;
import dev.jotune.tensor.quant.QuantizedMatrix;

/** One row of a table, widened and scaled. */
public abstract class EmbeddingRow {
    private final int n;
    private final float scale;

    private EmbeddingRow(long n, float scale) {
        this.n = Math.toIntExact(n);
        this.scale = scale;
    }

    abstract void read(long row, long to);

    /** Floats of {@code row} at {@code to}; the row is there. */
    public final void widen(long row, long to) {
        read(row, to);
        if (scale != 1) {
            DecodeMath.scale(to, scale, n);
        }
    }

    /** Of a dense table with contiguous rows; the caller keeps it reachable. */
    public static EmbeddingRow of(Tensor table, float scale) {
        long address = table.address();
        long rowBytes = table.stride(0) * table.dtype().byteSize();
        int columns = Math.toIntExact(table.size(1));
        return new EmbeddingRow(columns, scale) {
            @Override
            void read(long row, long to) {
                GemmPack.widen(table.dtype(), address + rowBytes * row, to, columns);
            }
        };
    }

    /** Of a quantised table: by its definition, which makes an array a row. */
    public static EmbeddingRow of(QuantizedMatrix table, float scale) {
        return new EmbeddingRow(table.columns(), scale) {
            @Override
            void read(long row, long to) {
                DecodedRows.widen(table, row, to);
            }
        };
    }
}
