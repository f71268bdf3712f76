package dev.jotune.tensor.io;

import dev.jotune.tensor.Backend;
import dev.jotune.tensor.DType;
import dev.jotune.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/**
 * A tensor as a file stores it: row-major, little-endian, no alignment promised. It belongs to no backend;
 * it is what checkpoint readers hand out and writers take.
 *
 * @param type  element type
 * @param shape sizes of the axes, empty for a scalar
 * @param data  exactly the tensor's bytes
 */
public record RawTensor(StoredType type, long[] shape, MemorySegment data) {

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int SHORT_MASK = 0xffff;
    private static final int BYTE_MASK = 0xff;

    /**
     * @throws IllegalArgumentException if {@code data} does not have the bytes that type and shape demand
     */
    public RawTensor {
        shape = shape.clone();
        long expected;
        try {
            expected = type.byteSize(shape);
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException("A tensor of " + type + " " + Arrays.toString(shape)
                    + " cannot be: " + e.getMessage() + ". Give sizes of an array that fits into memory.", e);
        }
        if (data.byteSize() != expected) {
            throw new IllegalArgumentException("The data has " + data.byteSize() + " bytes, but " + type + " "
                    + Arrays.toString(shape) + " takes " + expected + ". Pass exactly the tensor's bytes.");
        }
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    /**
     * The bytes of a tensor: its own memory where that is dense and the host can address it, else a copy. They are
     * valid as long as the tensor's memory is.
     */
    public static RawTensor of(Tensor tensor) {
        Tensor dense = tensor.contiguous();
        int width = dense.dtype().byteSize();
        long bytes = dense.numel() * width;
        MemorySegment data;
        if (dense.storage().isHostAddressable()) {
            data = dense.storage().host().asSlice(dense.offset() * width, bytes);
        } else {
            data = Arena.ofAuto().allocate(Math.max(bytes, 1), width).asSlice(0, bytes);
            dense.backend().read(dense, data);
        }
        return new RawTensor(StoredType.of(dense.dtype()), dense.shape(), data);
    }

    /** The bytes of each tensor, as {@link #of(Tensor)} gives them, in the map's order. */
    public static SequencedMap<String, RawTensor> of(Map<String, Tensor> tensors) {
        SequencedMap<String, RawTensor> all = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> all.put(name, of(tensor)));
        return all;
    }

    /**
     * This as a tensor. Where its type is a {@link DType} and the bytes are aligned, as they are in every file that
     * the reference library wrote, the tensor is a view of them and must not be written to; unaligned bytes are
     * copied. Other types are converted to the smallest type that holds all their values: I16 and U16 to I32, U32 and
     * U64 to I64, the 8-bit floats to F32.
     *
     * @throws UnsupportedOperationException for F4, F6 and C64
     * @throws ArithmeticException           if a U64 exceeds {@link Long#MAX_VALUE}
     */
    public Tensor toTensor(Backend backend) {
        if (type.dtype().isEmpty()) {
            return converted(backend);
        }
        DType dtype = type.dtype().get();
        if (data.isNative() && data.byteSize() > 0 && data.address() % dtype.byteSize() == 0) {
            return backend.map(data, dtype, shape);
        }
        return copied(backend, dtype, data);
    }

    private Tensor converted(Backend backend) {
        return switch (type) {
            case I16, U16 -> {
                int[] values = Arrays.stream(toLongs()).mapToInt(Math::toIntExact).toArray();
                yield copied(backend, DType.I32, MemorySegment.ofArray(values));
            }
            case U32, U64 -> copied(backend, DType.I64, MemorySegment.ofArray(toLongs()));
            default -> copied(backend, DType.F32, MemorySegment.ofArray(toFloats()));
        };
    }

    private Tensor copied(Backend backend, DType dtype, MemorySegment bytes) {
        Tensor tensor = Tensor.empty(backend, dtype, shape);
        backend.write(tensor, bytes);
        return tensor;
    }

    /** Number of elements. */
    public long elements() {
        return data.byteSize() * Byte.SIZE / type.bits();
    }

    /**
     * All elements as doubles. Every type but 64-bit integers is represented exactly; those are rounded to
     * nearest. U64 is unsigned; BOOL is 0 or 1, any other byte counting as 1.
     *
     * @throws UnsupportedOperationException for F4, F6 and C64, which have no one obvious array of doubles
     * @throws IllegalStateException         if there are more elements than a Java array holds
     */
    public double[] toDoubles() {
        double[] out = new double[arraySize()];
        for (int i = 0; i < out.length; i++) {
            out[i] = doubleAt(i);
        }
        return out;
    }

    /**
     * A run of elements as doubles, as {@link #toDoubles()} gives all of them: for tensors that are larger than memory.
     *
     * @param from the first one
     * @param out  takes the first {@code count} of its places
     */
    public void read(long from, int count, double[] out) {
        for (int i = 0; i < count; i++) {
            out[i] = doubleAt(from + i);
        }
    }

    /**
     * All elements as floats, rounded to nearest where float cannot hold them.
     *
     * @throws UnsupportedOperationException as {@link #toDoubles()}
     */
    public float[] toFloats() {
        float[] out = new float[arraySize()];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) doubleAt(i);
        }
        return out;
    }

    /**
     * All elements of an integer type (or BOOL) as longs.
     *
     * @throws UnsupportedOperationException for floating types
     * @throws ArithmeticException           if a U64 exceeds {@link Long#MAX_VALUE}
     */
    public long[] toLongs() {
        long[] out = new long[arraySize()];
        for (int i = 0; i < out.length; i++) {
            out[i] = longAt(i);
        }
        return out;
    }

    private int arraySize() {
        long count = elements();
        if (count > Integer.MAX_VALUE - Long.BYTES) {
            throw new IllegalStateException("The tensor has " + count + " elements, more than a Java array holds. "
                    + "Read it through its memory segment, or as a tensor.");
        }
        return (int) count;
    }

    private double doubleAt(long i) {
        return switch (type) {
            case F64 -> Double.longBitsToDouble(data.get(LONG, i * Long.BYTES));
            case F32 -> Float.intBitsToFloat(data.get(INT, i * Integer.BYTES));
            case F16 -> Half.toFloat(data.get(SHORT, i * Short.BYTES));
            case BF16 -> BFloat16.toFloat(data.get(SHORT, i * Short.BYTES));
            case F8_E4M3 -> Float8.fromE4m3(data.get(ValueLayout.JAVA_BYTE, i));
            case F8_E5M2 -> Float8.fromE5m2(data.get(ValueLayout.JAVA_BYTE, i));
            case F8_E4M3FNUZ -> Float8.fromE4m3Fnuz(data.get(ValueLayout.JAVA_BYTE, i));
            case F8_E5M2FNUZ -> Float8.fromE5m2Fnuz(data.get(ValueLayout.JAVA_BYTE, i));
            case F8_E8M0 -> Float8.fromE8m0(data.get(ValueLayout.JAVA_BYTE, i));
            case U64 -> unsignedToDouble(data.get(LONG, i * Long.BYTES));
            default -> longAt(i);
        };
    }

    private long longAt(long i) {
        return switch (type) {
            case I64 -> data.get(LONG, i * Long.BYTES);
            case I32 -> data.get(INT, i * Integer.BYTES);
            case U32 -> Integer.toUnsignedLong(data.get(INT, i * Integer.BYTES));
            case I16 -> data.get(SHORT, i * Short.BYTES);
            case U16 -> data.get(SHORT, i * Short.BYTES) & SHORT_MASK;
            case I8 -> data.get(ValueLayout.JAVA_BYTE, i);
            case U8 -> data.get(ValueLayout.JAVA_BYTE, i) & BYTE_MASK;
            case BOOL -> data.get(ValueLayout.JAVA_BYTE, i) == 0 ? 0 : 1;
            case U64 -> {
                long value = data.get(LONG, i * Long.BYTES);
                if (value < 0) {
                    throw new ArithmeticException("Element " + i + " is " + Long.toUnsignedString(value)
                            + ", more than a long holds. Read U64 tensors of such values with toDoubles().");
                }
                yield value;
            }
            default -> throw new UnsupportedOperationException(type + " cannot be read as "
                    + (type.isFloating() && type.bits() >= Byte.SIZE ? "integers. Use toDoubles()."
                            : "numbers here. Use the raw bytes."));
        };
    }

    private static double unsignedToDouble(long value) {
        if (value >= 0) {
            return value;
        }
        // Halve with the lost bit kept sticky, so that doubling the rounded half is the rounded whole.
        return (double) ((value >>> 1) | (value & 1)) * 2;
    }

    @Override
    public String toString() {
        return type + Arrays.toString(shape);
    }
}
