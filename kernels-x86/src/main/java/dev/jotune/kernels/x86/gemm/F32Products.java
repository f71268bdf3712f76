package dev.jotune.kernels.x86.gemm;

/**
 * How products of F32 accuracy run where there are AMX tiles. A weight kept in BF16 needs three products and loses nothing
 * in either of the first two ways; see {@link Operands} for what F32 weights lose.
 */
public enum F32Products {
    /** F32 weights in three BF16 pieces, six products: the error of F32 itself. */
    SIX,
    /** F32 weights in two BF16 pieces, three products: errors up to about 2^-16 of the terms' magnitudes. */
    THREE,
    /** On vectors, in F32. */
    NONE
}
