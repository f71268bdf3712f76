package dev.jotune.tensor.cpu.simd;

import static dev.jotune.tensor.cpu.simd.Mem.ALL;
import static dev.jotune.tensor.cpu.simd.Mem.L;
import static dev.jotune.tensor.cpu.simd.Mem.ORDER;
import static dev.jotune.tensor.cpu.simd.Mem.S;

import dev.jotune.tensor.quant.Nf4Matrix;
import java.util.function.LongConsumer;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Quantised rows to F32. One product a number, as in the definitions, so that results are the same bits. */
public final class Dequant {
    /** Bytes that fill one float vector, and never fewer than a byte vector has. */
    private static final VectorSpecies<Byte> BYTES = L >= 16 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;
    private static final int BLOCK = 32;
    /** The price of a number beside a copied one. */
    private static final int COST = 2;
    /** Both values of every byte of NF4, low address first: 2 KB, so that it stays in the first cache. */
    private static final long[] NF4_PAIRS = pairs();

    private Dequant() {
    }

    private static long[] pairs() {
        float[] q = Nf4Matrix.quantiles();
        long[] pairs = new long[256];
        for (int b = 0; b < pairs.length; b++) {
            long first = Integer.toUnsignedLong(Float.floatToRawIntBits(q[b >>> 4]));
            long second = Integer.toUnsignedLong(Float.floatToRawIntBits(q[b & 0xf]));
            pairs[b] = ORDER == java.nio.ByteOrder.LITTLE_ENDIAN ? first | second << 32 : second | first << 32;
        }
        return pairs;
    }

    /** Runs {@code row} for every row, on all threads where the rows are worth it. */
    public static void rows(long rows, int columns, LongConsumer row) {
        Rows.run(rows, columns, COST, (from, to) -> {
            for (long r = from; r < to; r++) {
                row.accept(r);
            }
        });
    }

    /** {@code n} numbers of Q8_0: a half-precision scale and 32 signed bytes a block. */
    public static void q8(long from, long to, int n) {
        for (int i = 0; i < n; i += BLOCK) {
            float d = Float.float16ToFloat(Mem.i16(from));
            for (int j = 0; j < BLOCK; j += BYTES.length()) {
                scaled(ByteVector.fromMemorySegment(BYTES, ALL, from + 2 + j, ORDER), d, to + 4L * (i + j));
            }
            from += 2 + BLOCK;
        }
    }

    /** {@code n} numbers of Q4_0: a half-precision scale and 16 bytes a block, low halves first. */
    public static void q4(long from, long to, int n) {
        for (int i = 0; i < n; i += BLOCK) {
            float d = Float.float16ToFloat(Mem.i16(from));
            for (int j = 0; j < BLOCK / 2; j += BYTES.length()) {
                ByteVector pairs = ByteVector.fromMemorySegment(BYTES, ALL, from + 2 + j, ORDER);
                long at = to + 4L * (i + j);
                scaled(pairs.and((byte) 0xf).sub((byte) 8), d, at);
                scaled(pairs.lanewise(VectorOperators.LSHR, 4).and((byte) 0xf).sub((byte) 8), d, at + 4 * BLOCK / 2);
            }
            from += 2 + BLOCK / 2;
        }
    }

    private static void scaled(ByteVector codes, float d, long to) {
        for (int part = 0; part < BYTES.length() / L; part++) {
            ((FloatVector) codes.convertShape(VectorOperators.B2F, S, part)).mul(d).intoMemorySegment(ALL, to + 4L * part * L, ORDER);
        }
    }

    /** {@code n} numbers of one NF4 block. */
    public static void nf4(long codes, float magnitude, long to, int n) {
        for (int i = 0; i < n / 2; i++) {
            Mem.i64(to + 8L * i, NF4_PAIRS[Mem.i8(codes + i) & 0xff]);
        }
        for (int i = 0; i < n; i += L) {
            FloatVector.fromMemorySegment(S, ALL, to + 4L * i, ORDER).mul(magnitude).intoMemorySegment(ALL, to + 4L * i, ORDER);
        }
    }
}
