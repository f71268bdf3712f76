package dev.jotune.kernels.x86.gemm;

/**
 * Memory that will be read soon: {@code count} stretches of {@code bytes} each, {@code stride} bytes from one to the next.
 *
 * @param first address of the first
 */
record Stretches(int count, long first, long stride, long bytes) {
    static final Stretches NONE = new Stretches(0, 0, 0, 0);
    /** Bytes that one prefetch brings. */
    private static final int LINE = 64;

    long address(int stretch) {
        return first + stretch * stride;
    }

    /** Of one stretch. */
    int lines() {
        return (int) ((bytes + LINE - 1) / LINE);
    }
}
