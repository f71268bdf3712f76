package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R12;
import static dev.jotune.kernels.x86.asm.Reg.R13;
import static dev.jotune.kernels.x86.asm.Reg.R14;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RBX;
import static dev.jotune.kernels.x86.asm.Reg.RCX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RSI;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Cond;
import dev.jotune.kernels.x86.asm.K;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Reg;
import dev.jotune.kernels.x86.asm.Vec;

/**
 * Emits the tile kernel on bytes: up to 6 rows by 32 columns. A block of 32 products is summed in whole numbers, then
 * joins the F32 sums times both its scales.
 *
 * <p>The instruction multiplies unsigned by signed bytes. The weight's bytes are made unsigned by turning their highest
 * bit, which adds 128 to each; 128 times the sum of the row's bytes is where the block's sum begins, negative.
 */
final class Int8Code {
    /** Rows of a tile at most: twelve whole and twelve F32 sums leave registers for the rest. */
    static final int ROWS = 6;
    private static final int VECTORS = 2;
    private static final Reg[] SAVED = {RBX, R12, R13, R14};
    private static final Vec FLIP = Vec.zmm(31);

    private final Assembler a = new Assembler();
    private final int rows;

    private Int8Code(int rows) {
        this.rows = rows;
    }

    static Assembler emit(int rows) {
        return new Int8Code(rows).code();
    }

    private Assembler code() {
        for (Reg r : SAVED) {
            a.push(r);
        }
        a.mov(R9, RDI);
        load(RSI, Int8Args.A);
        load(RCX, Int8Args.C);
        load(R8, Int8Args.C_STRIDE);
        load(R10, Int8Args.ROWS);
        load(RAX, Int8Args.MASK);
        a.kmovw(K.K1, RAX);
        load(RAX, Int8Args.UPPER_MASK);
        a.kmovw(K.K2, RAX);
        a.mov(RAX, 0x80808080L);
        a.vpbroadcastd(FLIP, RAX);
        load(RAX, Int8Args.A_STRIDE);
        a.lea(R12, Mem.at(RAX, RAX, 2, 0));
        Label tile = a.here();
        a.mov(RDI, RSI);
        a.lea(RBX, Mem.at(RDI, R12, 1, 0));
        load(R13, Int8Args.PANEL);
        load(R11, Int8Args.SCALES);
        load(R14, Int8Args.BLOCKS);
        for (int i = 0; i < rows * VECTORS; i++) {
            a.vpxord(Vec.zmm(i), Vec.zmm(i), Vec.zmm(i));
        }
        Label block = a.here();
        block();
        a.add(RDI, Int8Args.BLOCK);
        a.add(RBX, Int8Args.BLOCK);
        a.add(R13, Int8Args.LENGTH / 4 * TileCode.PANEL_ROW);
        a.add(R11, TileCode.PANEL_ROW);
        a.dec(R14);
        a.j(Cond.NE, block);
        for (int r = 0; r < rows; r++) {
            a.vmovups(Mem.at(RCX).merge(K.K1), sum(r, 0));
            a.vmovups(Mem.at(RCX, 64).merge(K.K2), sum(r, 1));
            a.add(RCX, R8);
        }
        a.imul(RDI, RAX, rows);
        a.add(RSI, RDI);
        a.dec(R10);
        a.j(Cond.G, tile);
        a.vzeroupper();
        for (int i = SAVED.length - 1; i >= 0; i--) {
            a.pop(SAVED[i]);
        }
        a.ret();
        return a;
    }

    private void load(Reg d, int arg) {
        a.mov(d, Mem.at(R9, arg));
    }

    private static Vec sum(int row, int vector) {
        return Vec.zmm(row * VECTORS + vector);
    }

    private static Vec whole(int row, int vector) {
        return Vec.zmm(12 + row * VECTORS + vector);
    }

    private static Vec element(int row) {
        return Vec.zmm(26 + row % 3);
    }

    private static Mem row(int row, int disp) {
        Reg base = row < 3 ? RDI : RBX;
        return row % 3 == 0 ? Mem.at(base, disp) : Mem.at(base, RAX, row % 3, disp);
    }

    private void block() {
        for (int r = 0; r < rows; r++) {
            a.vpbroadcastd(whole(r, 0), row(r, Int8Args.SUM));
            a.vmovaps(whole(r, 1), whole(r, 0));
        }
        for (int q = 0; q < Int8Args.LENGTH / 4; q++) {
            for (int v = 0; v < VECTORS; v++) {
                a.vpxord(Vec.zmm(24 + v), FLIP, Mem.at(R13, q * TileCode.PANEL_ROW + 64 * v));
            }
            for (int r = 0; r < rows; r++) {
                a.vpbroadcastd(element(r), row(r, 4 * q));
                for (int v = 0; v < VECTORS; v++) {
                    a.vpdpbusd(whole(r, v), Vec.zmm(24 + v), element(r));
                }
            }
        }
        for (int r = 0; r < rows; r++) {
            a.vbroadcastss(element(r), row(r, Int8Args.SCALE));
            for (int v = 0; v < VECTORS; v++) {
                a.vmulps(Vec.zmm(24 + v), element(r), Mem.at(R11, 64 * v));
                a.vcvtdq2ps(whole(r, v), whole(r, v));
                a.vfmadd231ps(sum(r, v), whole(r, v), Vec.zmm(24 + v));
            }
        }
    }
}
