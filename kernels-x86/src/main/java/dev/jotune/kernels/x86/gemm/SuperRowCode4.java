package dev.jotune.kernels.x86.gemm;

import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Vec;
import dev.jotune.tensor.quant.BlockFormat;

/**
 * {@link RowSumsCode} over Q4_K: 256 halves of bytes; a scale and a minimum of six bits for each 32, times one in half precision
 * each. What the minima take away from a super-block is their product with the sums of x.
 */
final class SuperRowCode4 extends RowSumsCode {
    private static final int SUBS = 8;
    private static final int SCALES_AT = 4;
    private static final int CODES_AT = 16;
    /** Bytes that are fetched ahead of those read: a tenth faster from memory, for there are few loads beside the arithmetic. */
    static final int AHEAD = 2048;
    private static final Vec HALVES = Vec.ymm(25);
    private static final Vec LOWER = Vec.xmm(26);
    private static final Vec UPPER = Vec.xmm(27);
    private static final Vec SHIFTS = Vec.xmm(28);
    private static final Vec SIX = Vec.xmm(29);
    private static final Vec TWO = Vec.xmm(30);
    private static final Vec SPREAD = Vec.zmm(31);

    private final Label tables = new Label();

    @Override
    void constants() {
        constant(HALVES, 0x0f0f0f0f);
        constant(Vec.xmm(TWO.number()), 0x30303030);
        a.lea(FREE, Mem.at(tables));
        a.vmovups(SPREAD, Mem.at(FREE));
        a.vmovups(LOWER, Mem.at(FREE, 64));
        a.vmovups(UPPER, Mem.at(FREE, 80));
        a.vmovups(SHIFTS, Mem.at(FREE, 96));
        a.vmovups(SIX, Mem.at(FREE, 112));
    }

    @Override
    void data() {
        a.align(64);
        a.bind(tables);
        a.ints(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        // Of three words: scales 0 to 3, scales 4 to 7, minima 0 to 3, minima 4 to 7.
        a.ints(0x03020100, 0x0b0a0908, 0x07060504, 0x0b0a0908);
        // What of them lies in the upper two bits of the first two words; nothing for the first four of each.
        a.ints(0x80808080, 0x03020100, 0x80808080, 0x07060504);
        a.ints(0, 0, 0, 4);
        a.ints(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f);
    }

    @Override
    int parts() {
        return SUBS;
    }

    @Override
    int bytes() {
        return BlockFormat.Q4_K.bytes();
    }

    @Override
    int[] rounds() {
        return new int[] {1};
    }

    @Override
    void round(int blocks) {
        scales();
        Vec[] codes = registers(4, SUBS);
        Vec[] sums = registers(12, SUBS);
        for (int i = 0; i < SUBS; i += 2) {
            a.prefetcht0(Mem.at(CODES, AHEAD + bytes() / SUBS * i));
            Mem both = Mem.at(CODES, CODES_AT + RowArgs.LENGTH * (i / 2));
            a.vpandd(codes[i], HALVES, both);
            a.vpsrld(codes[i + 1], both, 4);
        }
        for (int i = 1; i < SUBS; i += 2) {
            a.vpandd(codes[i], codes[i], HALVES);
        }
        multiply(sums, codes, 0);
        for (Vec sum : sums) {
            a.vcvtdq2ps(sum, sum);
        }
        for (int i = 0; i < SUBS; i++) {
            a.vfmadd231ps(accumulator(i), sums[i], Mem.at(ARGS, RowArgs.ROOM + Float.BYTES * i).spread());
        }
    }

    /** Scales times x's to the room; the minima's share leaves the first sums. */
    private void scales() {
        Vec words = Vec.xmm(12);
        Vec six = Vec.xmm(13);
        Vec both = Vec.zmm(14);
        Vec factors = Vec.zmm(15);
        a.vmovups(words, Mem.at(CODES, SCALES_AT));
        a.vpshufb(six, words, LOWER);
        a.vpshufb(words, words, UPPER);
        a.vpsrlvd(six, six, SHIFTS);
        a.vpandd(six, six, SIX);
        a.vpsrld(words, words, 2);
        a.vpandd(words, words, TWO);
        a.vpord(six, six, words);
        a.vpmovzxbd(both, six);
        a.vcvtdq2ps(both, both);
        a.vcvtph2ps(Vec.xmm(factors.number()), Mem.at(CODES));
        a.vpermd(factors, SPREAD, factors);
        a.vmulps(both, both, factors);
        a.vextracti64x4(Vec.ymm(factors.number()), both, 1);
        a.vmulps(Vec.ymm(both.number()), Vec.ymm(both.number()), Mem.at(SCALES));
        a.vmovups(Mem.at(ARGS, RowArgs.ROOM), Vec.ymm(both.number()));
        a.mov(FREE, Mem.at(ARGS, RowArgs.SUMS));
        a.sub(FREE, Mem.at(ARGS, RowArgs.SCALES));
        a.vfnmadd231ps(accumulator(0), Vec.ymm(factors.number()), Mem.at(SCALES, FREE, 1, 0));
    }
}
