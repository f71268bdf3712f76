package dev.jotune.tensor.kernels;

/** How exactly a product's operands are read. Sums are always taken in F32. */
public enum Precision {
    /** To the accuracy of F32. */
    F32,
    /**
     * Both operands rounded to BF16 (nearest, ties to even), as mixed-precision training does; a kernel that gains nothing
     * by it may read them as they are.
     */
    BF16
}
