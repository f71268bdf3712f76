package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.LB;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;
import static dev.jotune.tensor.cpu.simd.Mem.SI;

import dev.jotune.tensor.DType;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Copies of contiguous elements from one type to another. Narrowing rounds to nearest, ties to even; NaN stays
 * NaN and infinities stay infinite. Source and target must not overlap.
 */
public final class Convert {
    /** Half the bits of a float vector: as many shorts as floats. */
    private static final VectorSpecies<Short> SH =
            VectorSpecies.of(short.class, VectorShape.forBitSize(Mem.S.vectorBitSize() / 2));
    /** 2 to the power 112: moves the exponent bias from 15 to 127, subnormal halves included. */
    private static final float BIAS = 0x1p112f;

    private static final int BLOCK = 1 << 14;

    private interface Piece {
        void run(long from, long to, int n);
    }

    private Convert() {
    }

    /**
     * Copies {@code n} contiguous elements on all threads.
     *
     * @return false if this pair of types has no kernel; nothing is written then
     */
    public static boolean run(DType fromType, long from, DType toType, long to, long n) {
        Piece piece = piece(fromType, toType);
        if (piece == null) {
            return false;
        }
        long blocks = (n + BLOCK - 1) / BLOCK;
        Rows.run(blocks, BLOCK, 1, (first, last) -> {
            for (long block = first; block < last; block++) {
                long start = block * BLOCK;
                piece.run(from + start * fromType.byteSize(), to + start * toType.byteSize(),
                        (int) Math.min(BLOCK, n - start));
            }
        });
        return true;
    }

    private static Piece piece(DType from, DType to) {
        if (from == to) {
            int size = from.byteSize();
            return (a, b, n) -> Mem.copy(a, b, (long) n * size);
        }
        return switch (from) {
            case F32 -> switch (to) {
                case BF16 -> Convert::f32ToBf16;
                case F16 -> Convert::f32ToF16;
                case F64 -> Convert::f32ToF64;
                default -> null;
            };
            case BF16 -> to == DType.F32 ? Convert::bf16ToF32 : null;
            case F16 -> to == DType.F32 ? Convert::f16ToF32 : null;
            case F64 -> to == DType.F32 ? Convert::f64ToF32 : null;
            case I64 -> to == DType.I32 ? Convert::i64ToI32 : null;
            case I32 -> to == DType.I64 ? Convert::i32ToI64 : null;
            default -> null;
        };
    }

    /** Copies {@code n} floats. */
    public static void f32ToF32(long from, long to, int n) {
        int i = 0;
        for (; i + L <= n; i += L) {
            FloatVector.fromMemorySegment(S, ALL, from + 4L * i, ORDER).intoMemorySegment(ALL, to + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.i32(to + 4L * i, Mem.i32(from + 4L * i));
        }
    }

    /** bfloat16 to float, exact. */
    public static void bf16ToF32(long from, long to, int n) {
        int i = 0;
        for (; i + L <= n; i += L) {
            ShortVector v = ShortVector.fromMemorySegment(SH, ALL, from + 2L * i, ORDER);
            IntVector bits = (IntVector) v.convertShape(VectorOperators.ZERO_EXTEND_S2I, SI, 0);
            bits.lanewise(VectorOperators.LSHL, 16).intoMemorySegment(ALL, to + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.i32(to + 4L * i, Mem.i16(from + 2L * i) << 16);
        }
    }

    /** Half precision to float, exact. */
    public static void f16ToF32(long from, long to, int n) {
        int i = 0;
        for (; i + L <= n; i += L) {
            ShortVector v = ShortVector.fromMemorySegment(SH, ALL, from + 2L * i, ORDER);
            IntVector bits = (IntVector) v.convertShape(VectorOperators.ZERO_EXTEND_S2I, SI, 0);
            IntVector sign = bits.and(0x8000).lanewise(VectorOperators.LSHL, 16);
            IntVector magnitude = bits.and(0x7fff).lanewise(VectorOperators.LSHL, 13);
            IntVector scaled = magnitude.reinterpretAsFloats().mul(BIAS).reinterpretAsInts();
            VectorMask<Integer> special = magnitude.compare(VectorOperators.GE, 0x7c00 << 13);
            scaled.blend(scaled.or(0x7f800000), special).or(sign).intoMemorySegment(ALL, to + 4L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.f32(to + 4L * i, Float.float16ToFloat(Mem.i16(from + 2L * i)));
        }
    }

    /** Float to bfloat16. */
    public static void f32ToBf16(long from, long to, int n) {
        int i = 0;
        for (; i + L <= n; i += L) {
            IntVector bits = IntVector.fromMemorySegment(SI, ALL, from + 4L * i, ORDER);
            IntVector high = bits.lanewise(VectorOperators.LSHR, 16);
            IntVector rounded = bits.add(high.and(1)).add(0x7fff).lanewise(VectorOperators.LSHR, 16);
            VectorMask<Integer> nan = bits.and(0x7fffffff).compare(VectorOperators.GT, 0x7f800000);
            ShortVector narrow = (ShortVector) rounded.blend(high.or(0x40), nan)
                    .convertShape(VectorOperators.I2S, SH, 0);
            narrow.intoMemorySegment(ALL, to + 2L * i, ORDER);
        }
        for (; i < n; i++) {
            Mem.i16(to + 2L * i, bf16(Mem.f32(from + 4L * i)));
        }
    }

    /** Float to half precision. */
    public static void f32ToF16(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.i16(to + 2L * i, Float.floatToFloat16(Mem.f32(from + 4L * i)));
        }
    }

    /** Float to double, exact. */
    public static void f32ToF64(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f64(to + 8L * i, Mem.f32(from + 4L * i));
        }
    }

    /** Double to float. */
    public static void f64ToF32(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.f32(to + 4L * i, (float) Mem.f64(from + 8L * i));
        }
    }

    /** Int to long, exact. */
    public static void i32ToI64(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.i64(to + 8L * i, Mem.i32(from + 4L * i));
        }
    }

    /** Long to int; the high bits are dropped. */
    public static void i64ToI32(long from, long to, int n) {
        for (int i = 0; i < n; i++) {
            Mem.i32(to + 4L * i, (int) Mem.i64(from + 8L * i));
        }
    }

    /** One float as bfloat16 bits. */
    static short bf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (Float.isNaN(value)) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }
}
