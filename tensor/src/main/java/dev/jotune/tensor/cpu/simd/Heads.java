package dev.jotune.tensor.cpu.simd;

/**
 * Rows of an F32 tensor {@code [batch, head, position, D]} in raw memory, unit stride along D; strides in elements.
 *
 * @param address        of the first element, in bytes
 * @param batchStride    0 if all of the batch share the rows
 * @param headStride     from one head to the next
 * @param positionStride from one position to the next
 */
public record Heads(long address, long batchStride, long headStride, long positionStride) {
    /** A contiguous {@code [batch, heads, positions, size]}. */
    public static Heads contiguous(long address, int heads, int positions, int size) {
        return new Heads(address, (long) heads * positions * size, (long) positions * size, size);
    }

    long row(long batch, long head, long position) {
        return address + 4 * (batch * batchStride + head * headStride + position * positionStride);
    }
}
