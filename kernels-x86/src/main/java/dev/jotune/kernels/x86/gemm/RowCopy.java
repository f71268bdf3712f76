package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RBX;
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

/** The part of {@link RepackCode} that keeps rows as rows: 16 numbers at a time, the last ones under a mask. */
final class RowCopy {
    private final Assembler a;
    private final Repack kind;

    RowCopy(Assembler a, Repack kind) {
        this.a = a;
        this.kind = kind;
    }

    // RSI and RDX: the rows; RDI and R8: 16 numbers of them; RAX and RCX: strides; R10 rows and R11 numbers left.
    void emit() {
        a.mov(RBX, Mem.at(R9, RepackCode.MASK));
        a.kmovw(K.K1, RBX);
        a.vpxord(Vec.zmm(1), Vec.zmm(1), Vec.zmm(1));
        int read = kind == Repack.WIDEN_ROWS ? 32 : 64;
        int written = kind == Repack.ROUND_ROWS ? 32 : 64;
        Label row = a.here();
        Label last = new Label();
        a.mov(RDI, RSI);
        a.mov(R8, RDX);
        a.mov(R11, Mem.at(R9, RepackCode.COLUMNS));
        a.sub(R11, 16);
        a.j(Cond.LE, last);
        Label next = a.here();
        block(false);
        a.add(RDI, read);
        a.add(R8, written);
        a.sub(R11, 16);
        a.j(Cond.G, next);
        a.bind(last);
        block(true);
        if (kind == Repack.ROUND_ROWS) {
            // Half a line more may be needed to fill it.
            Label full = new Label();
            a.lea(RBX, Mem.at(R8, 32));
            a.and(RBX, 63);
            a.j(Cond.E, full);
            a.vmovups(Mem.at(R8, 32), Vec.ymm(1));
            a.bind(full);
        }
        a.add(RSI, RAX);
        a.add(RDX, RCX);
        a.dec(R10);
        a.j(Cond.G, row);
    }

    private void block(boolean masked) {
        Vec target = masked ? Vec.zmm(0).zero(K.K1) : Vec.zmm(0);
        switch (kind) {
            case ROUND_ROWS -> {
                a.vmovups(target, Mem.at(RDI));
                a.vcvtneps2bf16(Vec.ymm(0), Vec.zmm(0));
                a.vmovups(Mem.at(R8), Vec.ymm(0));
            }
            case WIDEN_ROWS -> {
                a.vpmovzxwd(target, Mem.at(RDI));
                a.vpslld(Vec.zmm(0), Vec.zmm(0), 16);
                a.vmovups(Mem.at(R8), Vec.zmm(0));
            }
            default -> {
                a.vmovups(target, Mem.at(RDI));
                a.vmovups(Mem.at(R8), Vec.zmm(0));
            }
        }
    }
}
