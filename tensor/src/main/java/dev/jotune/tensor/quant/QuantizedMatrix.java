package dev.jotune.tensor.quant;

import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * A frozen weight {@code [rows, columns]} in fewer bits than a {@link DType} has. It stays as it is stored, mapped or
 * packed; who uses it widens a few rows at a time into memory of his own.
 */
public sealed interface QuantizedMatrix permits BlockMatrix, Nf4Matrix, SignMatrix {
    /** The first size: outputs of a projection, entries of an embedding. */
    long rows();

    /** The second size. */
    long columns();

    /** For people: {@code Q4_K}, {@code NF4}. */
    String format();

    /** Bytes that the matrix takes as it is stored. */
    long byteSize();

    /**
     * The definition: widens one row.
     *
     * @param out at least {@link #columns()} long
     */
    void row(long row, float[] out);

    /**
     * Widens rows {@code from ..} into {@code out [n, columns]}, F32 or F64 and dense, by the definition.
     * A backend's {@link dev.jotune.tensor.kernels.DequantizeKernel} does the same faster.
     */
    default void dequantize(long from, Tensor out) {
        float[] row = new float[Math.toIntExact(columns())];
        double[] wide = new double[out.dtype() == DType.F64 ? row.length : 0];
        for (long r = 0; r < out.size(0); r++) {
            row(from + r, row);
            for (int i = 0; i < wide.length; i++) {
                wide[i] = row[i];
            }
            out.backend().write(out.slice(0, r, r + 1), out.dtype() == DType.F64 ? MemorySegment.ofArray(wide) : MemorySegment.ofArray(row));
        }
    }

    /**
     * Fails unless rows {@code from ..} fit into {@code out}.
     *
     * @throws IllegalArgumentException  for another shape, type or layout
     * @throws IndexOutOfBoundsException for rows that are not there
     */
    default void check(long from, Tensor out) {
        boolean wide = out.dtype() == DType.F32 || out.dtype() == DType.F64;
        if (!wide || out.rank() != 2 || out.size(1) != columns() || !out.isContiguous()) {
            throw new IllegalArgumentException("rows of a " + format() + " matrix [" + rows() + ", " + columns()
                    + "] are widened into a dense F32 or F64 tensor [n, " + columns() + "], not into " + out);
        }
        if (from < 0 || from + out.size(0) > rows()) {
            throw new IndexOutOfBoundsException("rows " + from + " to " + (from + out.size(0)) + " of a matrix of " + rows());
        }
    }
}
