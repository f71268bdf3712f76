package dev.jotune.kernels.x86.asm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.IntBinaryOperator;

/** What every vector instruction computes, written from its description, in Java. */
final class VectorMeaning {
    private final ByteBuffer d;
    private final ByteBuffer a;
    private final ByteBuffer b;
    private final ByteBuffer out = view(new byte[64]);
    private final int bytes;

    private VectorMeaning(int bytes, byte[] d, byte[] a, byte[] b) {
        this.bytes = bytes;
        this.d = view(d);
        this.a = a == null ? null : view(a);
        this.b = view(b);
    }

    private static ByteBuffer view(byte[] b) {
        return ByteBuffer.wrap(b).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Bytes of the lanes that a mask counts. */
    static int element(Evex op) {
        return switch (op) {
            case VPUNPCKLQDQ, VPUNPCKHQDQ, VINSERTI64X4, VEXTRACTI64X4 -> 8;
            case VMOVDQU16_LOAD, VMOVDQU16_STORE, VPBROADCASTW, VPERMW, VPERMT2W, VPERMI2W, VPUNPCKLWD, VPUNPCKHWD,
                    VCVTNE2PS2BF16, VCVTNEPS2BF16, VPMOVDW -> 2;
            case VMOVDQU8_LOAD, VMOVDQU8_STORE, VPBROADCASTB, VPERMB, VPSHUFB, VPUNPCKLBW, VPUNPCKHBW, VPSUBB, VPMOVDB, VPMOVSDB -> 1;
            default -> 4;
        };
    }

    /**
     * The result in all lanes.
     *
     * @param bytes of the vectors
     * @param d     the target before
     * @param a     the first source, null where there is one source
     * @param b     the last source
     */
    static byte[] compute(Evex op, int bytes, byte[] d, byte[] a, byte[] b, int imm) {
        VectorMeaning m = new VectorMeaning(bytes, d, a, b);
        m.run(op, imm);
        return m.out.array();
    }

    private void run(Evex op, int imm) {
        switch (op) {
            case VMOVUPS_LOAD, VMOVUPS_STORE, VMOVAPS_LOAD, VMOVAPS_STORE, VMOVNTPS, VMOVDQU32_LOAD, VMOVDQU32_STORE, VMOVDQU16_LOAD,
                    VMOVDQU16_STORE, VMOVDQU8_LOAD, VMOVDQU8_STORE -> out.put(0, b, 0, bytes);
            case VBROADCASTSS, VPBROADCASTD -> repeat(4);
            case VPBROADCASTW -> repeat(2);
            case VPBROADCASTB -> repeat(1);
            case VRNDSCALEPS -> floats((i) -> VectorArithmetic.round(b.getFloat(i), imm));
            case VCVTDQ2PS -> floats(i -> b.getInt(i));
            case VCVTPH2PS -> floats(i -> Float.float16ToFloat(b.getShort(i / 2)));
            case VFMADD231PS -> floats(i -> Math.fma(a.getFloat(i), b.getFloat(i), d.getFloat(i)));
            case VFMADD213PS -> floats(i -> Math.fma(d.getFloat(i), a.getFloat(i), b.getFloat(i)));
            case VFNMADD231PS -> floats(i -> Math.fma(-a.getFloat(i), b.getFloat(i), d.getFloat(i)));
            case VADDPS -> floats(i -> a.getFloat(i) + b.getFloat(i));
            case VMULPS -> floats(i -> a.getFloat(i) * b.getFloat(i));
            case VSUBPS -> floats(i -> a.getFloat(i) - b.getFloat(i));
            case VDIVPS -> floats(i -> a.getFloat(i) / b.getFloat(i));
            case VMAXPS -> floats(i -> a.getFloat(i) > b.getFloat(i) ? a.getFloat(i) : b.getFloat(i));
            case VMINPS -> floats(i -> a.getFloat(i) < b.getFloat(i) ? a.getFloat(i) : b.getFloat(i));
            case VDPBF16PS -> floats(i -> Bf16.fma(Bf16.widen(a.getShort(i)), Bf16.widen(b.getShort(i)),
                    Bf16.fma(Bf16.widen(a.getShort(i + 2)), Bf16.widen(b.getShort(i + 2)), d.getFloat(i))));
            case VXORPS, VPXORD -> ints((x, y) -> x ^ y);
            case VANDPS, VPANDD -> ints((x, y) -> x & y);
            case VPORD -> ints((x, y) -> x | y);
            case VPADDD -> ints(Integer::sum);
            case VPSUBD -> ints((x, y) -> x - y);
            case VPMULLD -> ints((x, y) -> x * y);
            case VPMAXSD -> ints(Math::max);
            case VPMINSD -> ints(Math::min);
            case VCVTPS2DQ -> each(i -> VectorArithmetic.toInt(b.getFloat(i)));
            case VPDPBUSD -> each(i -> (int) bytesDot(i));
            case VPDPBUSDS -> each(i -> Math.clamp(bytesDot(i), Integer.MIN_VALUE, Integer.MAX_VALUE));
            case VPDPWSSD -> each(i -> d.getInt(i) + a.getShort(i) * b.getShort(i) + a.getShort(i + 2) * b.getShort(i + 2));
            case VPTERNLOGD -> each(i -> VectorArithmetic.ternary(d.getInt(i), a.getInt(i), b.getInt(i), imm));
            case VPSLLD -> each(i -> imm > 31 ? 0 : b.getInt(i) << imm);
            case VPSRLD -> each(i -> imm > 31 ? 0 : b.getInt(i) >>> imm);
            case VPSRLVD -> ints((x, y) -> Integer.compareUnsigned(y, 31) > 0 ? 0 : x >>> y);
            case VPSRAD -> each(i -> b.getInt(i) >> Math.min(imm, 31));
            case VPMOVSXBD -> each(i -> b.get(i / 4));
            case VPMOVZXBD -> each(i -> b.get(i / 4) & 0xff);
            case VPMOVSXWD -> each(i -> b.getShort(i / 2));
            case VPMOVZXWD -> each(i -> b.getShort(i / 2) & 0xffff);
            case VPERMD -> each(i -> b.getInt(4 * (a.getInt(i) & bytes / 4 - 1)));
            case VPERMT2D -> each(i -> ((a.getInt(i) & bytes / 4) == 0 ? d : b).getInt(4 * (a.getInt(i) & bytes / 4 - 1)));
            case VPSUBB -> small(i -> a.get(i) - b.get(i));
            case VPMOVDB -> small(i -> 4 * i < bytes ? b.getInt(4 * i) : 0);
            case VPMOVSDB -> small(i -> 4 * i < bytes ? Math.clamp(b.getInt(4 * i), -128, 127) : 0);
            case VPERMB -> small(i -> b.get(a.get(i) & bytes - 1));
            case VPSHUFB -> small(i -> b.get(i) < 0 ? 0 : a.get(i / 16 * 16 + (b.get(i) & 15)));
            case VPMOVDW -> words(i -> 2 * i < bytes ? b.getInt(2 * i) : 0);
            case VCVTNE2PS2BF16 -> words(i -> Bf16.round(i < bytes / 2 ? b.getFloat(2 * i) : a.getFloat(2 * i - bytes)));
            case VCVTNEPS2BF16 -> words(i -> 2 * i < bytes ? Bf16.round(b.getFloat(2 * i)) : 0);
            case VPERMW -> words(i -> b.getShort(2 * (a.getShort(i) & bytes / 2 - 1)));
            case VPERMT2W -> words(i -> ((a.getShort(i) & bytes / 2) == 0 ? d : b).getShort(2 * (a.getShort(i) & bytes / 2 - 1)));
            case VPERMI2W -> words(i -> ((d.getShort(i) & bytes / 2) == 0 ? a : b).getShort(2 * (d.getShort(i) & bytes / 2 - 1)));
            case VPUNPCKLBW -> interleave(1, 0);
            case VPUNPCKHBW -> interleave(1, 8);
            case VPUNPCKLWD -> interleave(2, 0);
            case VPUNPCKHWD -> interleave(2, 8);
            case VPUNPCKLDQ -> interleave(4, 0);
            case VPUNPCKHDQ -> interleave(4, 8);
            case VPUNPCKLQDQ -> interleave(8, 0);
            case VPUNPCKHQDQ -> interleave(8, 8);
            case VSHUFI32X4, VSHUFF32X4 -> quarters(imm);
            case VINSERTI64X4 -> {
                out.put(0, a, 0, 64);
                out.put(32 * (imm & 1), b, 0, 32);
            }
            case VEXTRACTI64X4 -> out.put(0, b, 32 * (imm & 1), 32);
            case VEXTRACTI32X4 -> out.put(0, b, 16 * (imm & bytes / 16 - 1), 16);
        }
    }

    /** A lane's value from its offset in bytes. */
    private interface FloatLane {
        float at(int offset);
    }

    private interface IntLane {
        int at(int offset);
    }

    private void floats(FloatLane lane) {
        for (int i = 0; i < bytes; i += 4) {
            out.putFloat(i, lane.at(i));
        }
    }

    private void each(IntLane lane) {
        for (int i = 0; i < bytes; i += 4) {
            out.putInt(i, lane.at(i));
        }
    }

    private void ints(IntBinaryOperator f) {
        each(i -> f.applyAsInt(a.getInt(i), b.getInt(i)));
    }

    private void small(IntLane lane) {
        for (int i = 0; i < bytes; i++) {
            out.put(i, (byte) lane.at(i));
        }
    }

    private void words(IntLane lane) {
        for (int i = 0; i < bytes; i += 2) {
            out.putShort(i, (short) lane.at(i));
        }
    }

    private void repeat(int size) {
        for (int i = 0; i < bytes; i += size) {
            out.put(i, b, 0, size);
        }
    }

    private long bytesDot(int i) {
        long sum = d.getInt(i);
        for (int j = 0; j < 4; j++) {
            sum += (a.get(i + j) & 0xff) * b.get(i + j);
        }
        return sum;
    }

    /** Within each 16 bytes: elements of the lower or the upper eight of both sources in turn. */
    private void interleave(int size, int from) {
        for (int lane = 0; lane < bytes; lane += 16) {
            for (int i = 0; i < 8; i += size) {
                out.put(lane + 2 * i, a, lane + from + i, size);
                out.put(lane + 2 * i + size, b, lane + from + i, size);
            }
        }
    }

    /** Pieces of 16 bytes: the lower half from a, the upper from b. */
    private void quarters(int imm) {
        int pieces = bytes / 16;
        int bits = pieces == 4 ? 2 : 1;
        for (int i = 0; i < pieces; i++) {
            int piece = imm >> bits * i & pieces - 1;
            out.put(16 * i, i < pieces / 2 ? a : b, 16 * piece, 16);
        }
    }
}
