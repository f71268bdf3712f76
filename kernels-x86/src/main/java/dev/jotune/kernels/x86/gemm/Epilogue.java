package dev.jotune.kernels.x86.gemm;

/**
 * What joins a product on its way out. Addresses of F32 elements, 0 for what is absent; strides in bytes.
 *
 * @param left     {@code [M, rank]}
 * @param right    {@code [N, rank]}, or {@code [rank, N]} if {@code turned}
 * @param bias     {@code [N]}
 * @param residual {@code [M, N]}
 * @param scale    of the product itself; other than 1 only for kernels of vectors
 */
record Epilogue(long left, long leftStride, long right, long rightStride, boolean turned, int rank, long bias, long residual, long residualStride,
        float scale) {
    static final Epilogue NONE = new Epilogue(0, 0, 0, 0, false, 0, 0, 0, 0, 1);

    /** {@code C += A B}. */
    static Epilogue addTo(long c, long stride) {
        return new Epilogue(0, 0, 0, 0, false, 0, 0, c, stride, 1);
    }

    /** {@code C = scale A B}. */
    static Epilogue times(float scale) {
        return new Epilogue(0, 0, 0, 0, false, 0, 0, 0, 0, scale);
    }
}
