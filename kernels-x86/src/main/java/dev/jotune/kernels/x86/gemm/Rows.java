package dev.jotune.kernels.x86.gemm;

/** The left factor of a product, {@code [M, K]}, as rows that a kernel reads in place, or that are made for the product. */
interface Rows {
    /** Whether the kernel can read the rows where they lie, at {@link #address}; otherwise {@link #fill} makes them. */
    boolean areKept();

    /** Element {@code (row, k)}. */
    long address(int row, int k);

    /** Bytes from one row that is kept to the next. */
    long stride();

    /** Makes elements {@code k} to {@code k + steps} of {@code rows} rows at {@code target}. */
    void fill(int row, int rows, int k, int steps, long target, long targetStride);
}
