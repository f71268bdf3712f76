package dev.jotune.tensor.io;

import dev.jotune.tensor.DType;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Every element type of the safetensors format (version 0.8 of its reference library), by the name it has in a
 * header. Those that Jotune has as a {@link DType} map to it; most others can be widened through
 * {@link RawTensor}. The order of the constants is the format's own: files are laid out by descending order.
 */
public enum StoredType {
    BOOL(8, DType.BOOL),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    U8(8, DType.U8),
    I8(8, DType.I8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E4M3FNUZ(8),
    F8_E5M2FNUZ(8),
    I16(16),
    U16(16),
    F16(16, DType.F16),
    BF16(16, DType.BF16),
    I32(32, DType.I32),
    U32(32),
    F32(32, DType.F32),
    C64(64),
    F64(64, DType.F64),
    I64(64, DType.I64),
    U64(64);

    private static final Map<String, StoredType> BY_NAME =
            Arrays.stream(values()).collect(Collectors.toUnmodifiableMap(StoredType::name, Function.identity()));

    private final int bits;
    private final Optional<DType> dtype;

    StoredType(int bits) {
        this.bits = bits;
        this.dtype = Optional.empty();
    }

    StoredType(int bits, DType dtype) {
        this.bits = bits;
        this.dtype = Optional.of(dtype);
    }

    /** The type of this name, exactly as headers spell it; empty for any other text. */
    public static Optional<StoredType> named(String name) {
        return Optional.ofNullable(BY_NAME.get(name));
    }

    /** How a tensor of {@code dtype} is stored. */
    public static StoredType of(DType dtype) {
        return BY_NAME.get(dtype.name());
    }

    /** Bits of one element: below 8 several elements share a byte. */
    public int bits() {
        return bits;
    }

    /** The tensor type that stores the same bytes, if there is one. */
    public Optional<DType> dtype() {
        return dtype;
    }

    /** True for the floating types, complex excluded. */
    public boolean isFloating() {
        return name().startsWith("F") || this == BF16;
    }

    /**
     * Bytes of a tensor of this type and shape, in checked arithmetic. The product of the non-zero sizes must
     * itself be small enough, so that strides can be computed for a tensor that is empty.
     *
     * @throws ArithmeticException if a size is negative, the bytes exceed {@code 2^63 - 1}, or a type below
     *                             8 bits does not fill its last byte
     */
    public long byteSize(long[] shape) {
        long product = 1;
        boolean empty = false;
        for (long size : shape) {
            if (size < 0) {
                throw new ArithmeticException("the size " + size + " is negative");
            }
            empty |= size == 0;
            product = size == 0 ? product : times(product, size, shape);
        }
        long totalBits = empty ? 0 : times(product, bits, shape);
        if (totalBits % Byte.SIZE != 0) {
            throw new ArithmeticException("shape " + Arrays.toString(shape) + " of " + this
                    + " does not fill its last byte");
        }
        return totalBits / Byte.SIZE;
    }

    private static long times(long a, long b, long[] shape) {
        if (Math.multiplyHigh(a, b) != 0 || a * b < 0) {
            String text = shape.length > 16 ? "with " + shape.length + " axes" : Arrays.toString(shape);
            throw new ArithmeticException("the byte count of shape " + text + " overflows 64 bits");
        }
        return a * b;
    }
}
