package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RDX;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Cond;
import dev.jotune.kernels.x86.asm.K;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Vec;

/** Emits what turns an F32 row into the digits of {@link RowArgs}. */
final class DigitsCode {
    private static final Vec HALF = Vec.zmm(23);
    private static final Vec ONES = Vec.zmm(24);
    private static final Vec ZERO = Vec.zmm(25);

    private final Assembler a = new Assembler();
    private final BlockScale scale = new BlockScale(a, RowArgs.LARGEST);

    private DigitsCode() {
    }

    static Assembler emit() {
        return new DigitsCode().code();
    }

    private Assembler code() {
        a.mov(R9, RDI);
        a.mov(RDI, Mem.at(R9, RowArgs.W));
        a.mov(R8, Mem.at(R9, RowArgs.X));
        a.mov(R10, Mem.at(R9, RowArgs.SCALES));
        a.mov(RDX, Mem.at(R9, RowArgs.SUMS));
        a.mov(RAX, Mem.at(R9, RowArgs.BLOCKS));
        a.mov(R11, 1);
        a.kmovw(K.K1, R11);
        scale.constants();
        scale.constant(HALF, 1 << RowArgs.DIGIT - 1);
        scale.constant(ONES, 0x0101_0101);
        a.vpxord(ZERO, ZERO, ZERO);
        Label block = a.here();
        scale.divide(RDI);
        for (int half = 0; half < 2; half++) {
            digits(half);
        }
        sums();
        a.add(RDI, 4 * RowArgs.LENGTH);
        a.add(R8, RowArgs.BLOCK);
        a.add(R10, 4);
        a.add(RDX, 4);
        a.dec(RAX);
        a.j(Cond.NE, block);
        a.vzeroupper();
        a.ret();
        scale.data();
        return a;
    }

    /** A byte is the lowest digit of its whole number, between -128 and 127; without it, 256 times the others is left. */
    private void digits(int half) {
        Vec x = Vec.zmm(half);
        a.vcvtps2dq(x, x);
        for (int digit : new int[] {RowArgs.C, RowArgs.B, RowArgs.A}) {
            a.vpmovdb(Mem.at(R8, digit + 16 * half), x);
            if (digit != RowArgs.A) {
                a.vpaddd(x, x, HALF);
                a.vpsrad(x, x, RowArgs.DIGIT);
            }
        }
    }

    private void sums() {
        Vec sum = Vec.ymm(6);
        Vec times = Vec.ymm(7);
        Vec ones = Vec.ymm(ONES.number());
        Vec zero = Vec.ymm(ZERO.number());
        a.vpxord(sum, sum, sum);
        for (int digit : new int[] {RowArgs.A, RowArgs.B, RowArgs.C}) {
            a.vpslld(sum, sum, RowArgs.DIGIT);
            a.vpdpbusd(sum, ones, Mem.at(R8, digit));
        }
        a.vpslld(times, sum, 3);
        a.vpsubd(times, zero, times);
        a.vmovups(Mem.at(R8, RowArgs.TIMES_8), times);
        a.vpslld(times, sum, 7);
        a.vpsubd(times, zero, times);
        a.vmovups(Mem.at(R8, RowArgs.TIMES_128), times);
        scale.total(sum, times);
        a.vcvtdq2ps(sum, sum);
        a.vmulps(sum, sum, Vec.ymm(2));
        a.vmovups(Mem.at(R10).merge(K.K1), Vec.zmm(2));
        a.vmovups(Mem.at(RDX).merge(K.K1), Vec.zmm(6));
    }
}
