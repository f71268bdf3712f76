package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.asm.K;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Vec;
import dev.jotune.tensor.quant.BlockFormat;

/**
 * {@link RowSumsCode} over Q6_K: 256 codes of six bits less 32, four bits in one place and two in another; a signed byte as scale for
 * each 16, times one in half precision.
 */
final class SuperRowCode6 extends RowSumsCode {
    private static final int SUBS = 8;
    private static final int HIGH_AT = 128;
    private static final int SCALES_AT = 192;
    private static final int FACTOR_AT = 208;
    private static final Vec HALVES = Vec.ymm(29);
    private static final Vec TWO = Vec.ymm(30);
    private static final Vec TWICE = Vec.zmm(31);
    /** Sums of the second 16 of 32 numbers. */
    private static final K SECOND = K.K1;

    private final Label twice = new Label();

    @Override
    void constants() {
        constant(HALVES, 0x0f0f0f0f);
        constant(TWO, 0x30303030);
        a.mov(FREE, 0xf0);
        a.kmovw(SECOND, FREE);
        a.lea(FREE, Mem.at(twice));
        a.vmovups(TWICE, Mem.at(FREE));
    }

    @Override
    void data() {
        a.align(64);
        a.bind(twice);
        for (int i = 0; i < 16; i++) {
            a.ints(i / 2);
        }
    }

    @Override
    int parts() {
        return SUBS;
    }

    @Override
    int bytes() {
        return BlockFormat.Q6_K.bytes();
    }

    @Override
    int[] rounds() {
        return new int[] {1};
    }

    @Override
    void round(int blocks) {
        scales();
        for (int half = 0; half < 2; half++) {
            half(half);
        }
    }

    private void half(int half) {
        int quarters = SUBS / 2;
        int first = quarters * half;
        Vec[] codes = registers(4, quarters);
        Vec[] sums = registers(8, quarters);
        Vec[] others = registers(12, quarters);
        codes(codes, others, half);
        multiply(sums, codes, first);
        for (int i = 0; i < quarters; i++) {
            a.vpslld(others[i], Mem.at(X, RowArgs.BLOCK * (first + i) + RowArgs.TIMES_8), 2);
        }
        for (int i = 0; i < quarters; i++) {
            a.vpaddd(sums[i], sums[i], others[i]);
        }
        for (int i = 0; i < quarters; i++) {
            int scale = RowArgs.ROOM + 2 * Float.BYTES * (first + i);
            a.vcvtdq2ps(sums[i], sums[i]);
            a.vbroadcastss(others[i], Mem.at(ARGS, scale));
            a.vbroadcastss(others[i].merge(SECOND), Mem.at(ARGS, scale + Float.BYTES));
        }
        for (int i = 0; i < quarters; i++) {
            a.vfmadd231ps(accumulator(i), sums[i], others[i]);
        }
    }

    /** Of each half of a super-block, 64 bytes have the lower four bits, and 32 bytes the upper two, of four times 32 codes. */
    private void codes(Vec[] codes, Vec[] upper, int half) {
        Vec high = Vec.ymm(16);
        a.vmovups(high, Mem.at(CODES, HIGH_AT + RowArgs.LENGTH * half));
        for (int i = 0; i < 2; i++) {
            a.prefetcht0(Mem.at(CODES, SuperRowCode4.AHEAD + bytes() / 4 * (2 * half + i)));
            a.vmovups(codes[i], Mem.at(CODES, 64 * half + RowArgs.LENGTH * i));
            a.vpsrld(codes[i + 2], codes[i], 4);
        }
        a.vpslld(upper[0], high, 4);
        a.vpslld(upper[1], high, 2);
        a.vpsrld(upper[3], high, 2);
        a.vpandd(upper[2], high, TWO);
        for (int i = 0; i < codes.length; i++) {
            a.vpandd(codes[i], codes[i], HALVES);
            if (i != 2) {
                a.vpandd(upper[i], upper[i], TWO);
            }
        }
        for (int i = 0; i < codes.length; i++) {
            a.vpord(codes[i], codes[i], upper[i]);
        }
    }

    /** Sixteen scales times x's eight, to the room. */
    private void scales() {
        Vec scales = Vec.zmm(12);
        Vec factor = Vec.zmm(13);
        a.vpmovsxbd(scales, Mem.at(CODES, SCALES_AT));
        a.vcvtdq2ps(scales, scales);
        a.vpbroadcastw(Vec.ymm(factor.number()), Mem.at(CODES, FACTOR_AT));
        a.vcvtph2ps(factor, Vec.ymm(factor.number()));
        a.vmulps(scales, scales, factor);
        a.vmovups(Vec.ymm(factor.number()), Mem.at(SCALES));
        a.vpermd(factor, TWICE, factor);
        a.vmulps(scales, scales, factor);
        a.vmovups(Mem.at(ARGS, RowArgs.ROOM), scales);
    }
}
