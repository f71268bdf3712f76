package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RCX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RDX;
import static dev.jotune.kernels.x86.asm.Reg.RSI;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Cond;
import dev.jotune.kernels.x86.asm.K;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Vec;

/**
 * Emits the rounding of F32 rows to blocks of 32 signed bytes (see {@link Int8Args}): the largest magnitude of a block
 * becomes 127. In {@link Int8Args}, {@code C} is the F32 source and {@code A} the target.
 *
 * <p>Magnitudes are compared as whole numbers: that order is the same, and not-a-number is the largest, so that it gets
 * into the block's scale and from there into the result.
 */
final class Int8Rows {
    private static final Vec MAGNITUDE = Vec.zmm(20);
    private static final Vec TINY = Vec.zmm(21);
    private static final Vec LARGEST = Vec.zmm(22);

    private final Assembler a = new Assembler();

    private Int8Rows() {
    }

    static Assembler emit() {
        return new Int8Rows().code();
    }

    private Assembler code() {
        Label partners = new Label();
        a.mov(R9, RDI);
        a.mov(RSI, Mem.at(R9, Int8Args.C));
        a.mov(RAX, Mem.at(R9, Int8Args.C_STRIDE));
        a.mov(RDX, Mem.at(R9, Int8Args.A));
        a.mov(RCX, Mem.at(R9, Int8Args.A_STRIDE));
        a.mov(R10, Mem.at(R9, Int8Args.ROWS));
        a.mov(R11, 1);
        a.kmovw(K.K1, R11);
        constant(MAGNITUDE, 0x7fff_ffff);
        constant(TINY, Float.floatToRawIntBits(1e-30f));
        constant(LARGEST, Float.floatToRawIntBits(127));
        a.lea(R11, Mem.at(partners));
        for (int i = 0; i < 4; i++) {
            a.vmovups(Vec.zmm(16 + i), Mem.at(R11, 64 * i));
        }
        Label row = a.here();
        a.mov(RDI, RSI);
        a.mov(R8, RDX);
        a.mov(R11, Mem.at(R9, Int8Args.BLOCKS));
        Label block = a.here();
        block();
        a.add(RDI, 4 * Int8Args.LENGTH);
        a.add(R8, Int8Args.BLOCK);
        a.dec(R11);
        a.j(Cond.NE, block);
        a.add(RSI, RAX);
        a.add(RDX, RCX);
        a.dec(R10);
        a.j(Cond.NE, row);
        a.vzeroupper();
        a.ret();
        a.align(64);
        a.bind(partners);
        for (int distance = 8; distance > 0; distance /= 2) {
            for (int i = 0; i < 16; i++) {
                a.ints(i ^ distance);
            }
        }
        return a;
    }

    private void constant(Vec target, int bits) {
        a.mov(R11, bits);
        a.vpbroadcastd(target, R11);
    }

    private void block() {
        a.vmovups(Vec.zmm(0), Mem.at(RDI));
        a.vmovups(Vec.zmm(1), Mem.at(RDI, 64));
        a.vpandd(Vec.zmm(2), MAGNITUDE, Vec.zmm(0));
        a.vpandd(Vec.zmm(3), MAGNITUDE, Vec.zmm(1));
        a.vpmaxsd(Vec.zmm(2), Vec.zmm(2), Vec.zmm(3));
        a.vpmaxsd(Vec.zmm(2), Vec.zmm(2), TINY);
        for (int i = 0; i < 4; i++) {
            a.vpermd(Vec.zmm(3), Vec.zmm(16 + i), Vec.zmm(2));
            a.vpmaxsd(Vec.zmm(2), Vec.zmm(2), Vec.zmm(3));
        }
        a.vdivps(Vec.zmm(3), LARGEST, Vec.zmm(2));
        a.vdivps(Vec.zmm(2), Vec.zmm(2), LARGEST);
        for (int i = 0; i < 2; i++) {
            a.vmulps(Vec.zmm(i), Vec.zmm(i), Vec.zmm(3));
            a.vcvtps2dq(Vec.zmm(i), Vec.zmm(i));
            a.vpmovsdb(Mem.at(R8, 16 * i), Vec.zmm(i));
        }
        a.vpaddd(Vec.zmm(0), Vec.zmm(0), Vec.zmm(1));
        for (int i = 0; i < 4; i++) {
            a.vpermd(Vec.zmm(1), Vec.zmm(16 + i), Vec.zmm(0));
            a.vpaddd(Vec.zmm(0), Vec.zmm(0), Vec.zmm(1));
        }
        a.vpslld(Vec.zmm(0), Vec.zmm(0), 7);
        a.vpxord(Vec.zmm(1), Vec.zmm(1), Vec.zmm(1));
        a.vpsubd(Vec.zmm(0), Vec.zmm(1), Vec.zmm(0));
        a.vmovups(Mem.at(R8, Int8Args.SUM).merge(K.K1), Vec.zmm(0));
        a.vmovups(Mem.at(R8, Int8Args.SCALE).merge(K.K1), Vec.zmm(2));
    }
}
