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
 */
final class Int8Rows {
    private final Assembler a = new Assembler();
    private final BlockScale scale = new BlockScale(a, 127);

    private Int8Rows() {
    }

    static Assembler emit() {
        return new Int8Rows().code();
    }

    private Assembler code() {
        a.mov(R9, RDI);
        a.mov(RSI, Mem.at(R9, Int8Args.C));
        a.mov(RAX, Mem.at(R9, Int8Args.C_STRIDE));
        a.mov(RDX, Mem.at(R9, Int8Args.A));
        a.mov(RCX, Mem.at(R9, Int8Args.A_STRIDE));
        a.mov(R10, Mem.at(R9, Int8Args.ROWS));
        a.mov(R11, 1);
        a.kmovw(K.K1, R11);
        scale.constants();
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
        scale.data();
        return a;
    }

    private void block() {
        scale.divide(RDI);
        for (int i = 0; i < 2; i++) {
            a.vcvtps2dq(Vec.zmm(i), Vec.zmm(i));
            a.vpmovsdb(Mem.at(R8, 16 * i), Vec.zmm(i));
        }
        a.vpaddd(Vec.zmm(0), Vec.zmm(0), Vec.zmm(1));
        scale.total(Vec.zmm(0), Vec.zmm(1));
        a.vpslld(Vec.zmm(0), Vec.zmm(0), 7);
        a.vpxord(Vec.zmm(1), Vec.zmm(1), Vec.zmm(1));
        a.vpsubd(Vec.zmm(0), Vec.zmm(1), Vec.zmm(0));
        a.vmovups(Mem.at(R8, Int8Args.SUM).merge(K.K1), Vec.zmm(0));
        a.vmovups(Mem.at(R8, Int8Args.SCALE).merge(K.K1), Vec.zmm(2));
    }
}
