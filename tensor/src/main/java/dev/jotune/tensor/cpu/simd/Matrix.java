package dev.jotune.tensor.cpu.simd;

import dev.jotune.tensor.DType;

/**
 * An operand of a matrix product in raw memory.
 *
 * @param address   of element (0, 0), in bytes
 * @param type      F32, BF16 or F16
 * @param rowStride elements from one row to the next
 * @param colStride elements from one column to the next
 */
public record Matrix(long address, DType type, long rowStride, long colStride) {
    /** A row-major F32 matrix. */
    public static Matrix f32(long address, long rowStride) {
        return new Matrix(address, DType.F32, rowStride, 1);
    }

    /** The same elements with rows and columns exchanged. */
    public Matrix transpose() {
        return new Matrix(address, type, colStride, rowStride);
    }

    Matrix at(long newAddress) {
        return new Matrix(newAddress, type, rowStride, colStride);
    }
}
