package dev.jotune.tensor.io;

import java.util.Map;
import java.util.Optional;

/**
 * What a .npy header says.
 *
 * @param type         element type
 * @param bigEndian    whether the bytes of an element are to be turned round
 * @param fortranOrder whether the first axis runs fastest
 * @param shape        sizes of the axes
 */
record NpyHeader(StoredType type, boolean bigEndian, boolean fortranOrder, long[] shape) {

    private static final Map<String, StoredType> TYPES = Map.ofEntries(
            Map.entry("f8", StoredType.F64), Map.entry("f4", StoredType.F32), Map.entry("f2", StoredType.F16),
            Map.entry("i8", StoredType.I64), Map.entry("i4", StoredType.I32), Map.entry("i2", StoredType.I16),
            Map.entry("i1", StoredType.I8), Map.entry("u8", StoredType.U64), Map.entry("u4", StoredType.U32),
            Map.entry("u2", StoredType.U16), Map.entry("u1", StoredType.U8), Map.entry("b1", StoredType.BOOL));

    /** The type of a NumPy code without its byte order, such as {@code f4}. */
    static Optional<StoredType> type(String code) {
        return Optional.ofNullable(TYPES.get(code));
    }

    /** The type's code with NumPy's mark for its byte order, such as {@code <f4} or {@code |u1}. */
    static Optional<String> descr(StoredType type) {
        return TYPES.entrySet().stream().filter(e -> e.getValue() == type).findFirst()
                .map(e -> (type.bits() == Byte.SIZE ? "|" : "<") + e.getKey());
    }
}
