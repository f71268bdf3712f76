package dev.jotune.tensor.quant;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A matrix of +1 and -1, a bit a number: bit {@code c % 8} of byte {@code c / 8} of a row is set for +1. Rows begin at a byte; the
 * bits behind a row's last number are zero.
 *
 * @param bits U8 {@code [rows, (columns + 7) / 8]}, dense
 */
public record SignMatrix(long rows, long columns, Tensor bits) implements QuantizedMatrix {
    /** @throws IllegalArgumentException if the bits have another type or shape, or are not dense */
    public SignMatrix {
        long[] shape = {rows, rowBytes(columns)};
        if (bits.dtype() != DType.U8 || !Arrays.equals(bits.shape(), shape) || !bits.isContiguous()) {
            throw new IllegalArgumentException("the signs of a matrix [" + rows + ", " + columns + "] are a dense U8 tensor "
                    + Arrays.toString(shape) + ", not " + bits);
        }
    }

    /** Bytes of a row of so many numbers. */
    public static long rowBytes(long columns) {
        return (columns + Byte.SIZE - 1) / Byte.SIZE;
    }

    /**
     * The signs of numbers, row by row; 0 counts as +.
     *
     * @param values {@code rows columns} of them
     */
    public static SignMatrix of(Backend backend, int rows, int columns, double[] values) {
        int width = Math.toIntExact(rowBytes(columns));
        byte[] bits = new byte[rows * width];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                if (values[r * columns + c] >= 0) {
                    bits[r * width + c / Byte.SIZE] |= (byte) (1 << c % Byte.SIZE);
                }
            }
        }
        Tensor t = Tensor.empty(backend, DType.U8, rows, width);
        backend.write(t, MemorySegment.ofArray(bits));
        return new SignMatrix(rows, columns, t);
    }

    @Override
    public String format() {
        return "signs";
    }

    @Override
    public long byteSize() {
        return bits.numel();
    }

    @Override
    public void row(long row, float[] out) {
        byte[] signs = BlockMatrix.bytes(bits, row * rowBytes(columns), (int) rowBytes(columns));
        for (int c = 0; c < columns; c++) {
            out[c] = (signs[c / Byte.SIZE] >>> c % Byte.SIZE & 1) == 0 ? -1 : 1;
        }
    }

    @Override
    public String toString() {
        return "signs[" + rows + ", " + columns + "]";
    }
}
