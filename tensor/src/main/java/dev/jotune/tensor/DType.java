package dev.jotune.tensor;

/**
 * How one element is stored. Arithmetic happens in {@link #F32}, or in {@link #F64} on the reference
 * backend; the narrower floating types and the integers are storage only.
 */
public enum DType {
    F64(8, true),
    F32(4, true),
    F16(2, true),
    BF16(2, true),
    I64(8, false),
    I32(4, false),
    I8(1, false),
    U8(1, false),
    /** One byte, 0 or 1; any other byte read from a file counts as true. */
    BOOL(1, false);

    private final int byteSize;
    private final boolean floating;

    DType(int byteSize, boolean floating) {
        this.byteSize = byteSize;
        this.floating = floating;
    }

    /** Bytes of one element. */
    public int byteSize() {
        return byteSize;
    }

    /** True for F64, F32, F16 and BF16. */
    public boolean isFloating() {
        return floating;
    }
}
