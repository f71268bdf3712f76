package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R12;
import static dev.jotune.kernels.x86.asm.Reg.R13;
import static dev.jotune.kernels.x86.asm.Reg.R14;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RBP;
import static dev.jotune.kernels.x86.asm.Reg.RBX;
import static dev.jotune.kernels.x86.asm.Reg.RCX;
import static dev.jotune.kernels.x86.asm.Reg.RDI;
import static dev.jotune.kernels.x86.asm.Reg.RDX;
import static dev.jotune.kernels.x86.asm.Reg.RSI;
import static dev.jotune.kernels.x86.asm.Reg.RSP;

import dev.jotune.kernels.x86.asm.Assembler;
import dev.jotune.kernels.x86.asm.Cond;
import dev.jotune.kernels.x86.asm.K;
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Reg;
import dev.jotune.kernels.x86.asm.Tile;
import dev.jotune.kernels.x86.asm.Vec;

/**
 * Emits the tile kernel on bytes for AMX: up to 16 rows by 16 columns. One tile product sums a block of 32; through a
 * kilobyte of stack it comes to the vectors, which keep the F32 sums and join it times both its scales. Per block 16 rows
 * take some 50 vector instructions instead of the 180 of {@link Int8Code}; its results are the same bits.
 */
final class Int8AmxCode {
    /** Rows of a tile at most. */
    static final int ROWS = 16;
    private static final int ROW = 64;
    private static final Reg[] SAVED = {RBX, RBP, R12, R13, R14};
    private static final Vec SCALES = Vec.zmm(16);

    private final Assembler a = new Assembler();
    private final int rows;

    private Int8AmxCode(int rows) {
        this.rows = rows;
    }

    static Assembler emit(int rows) {
        return new Int8AmxCode(rows).code();
    }

    private Assembler code() {
        Label configuration = new Label();
        for (Reg r : SAVED) {
            a.push(r);
        }
        a.mov(RBP, RSP);
        a.sub(RSP, ROWS * ROW);
        a.and(RSP, -ROW);
        a.mov(R9, RDI);
        a.ldtilecfg(Mem.at(configuration));
        load(RSI, Int8Args.A);
        load(RCX, Int8Args.C);
        load(R8, Int8Args.C_STRIDE);
        load(R10, Int8Args.ROWS);
        load(RAX, Int8Args.MASK);
        a.kmovw(K.K1, RAX);
        load(RAX, Int8Args.A_STRIDE);
        a.mov(R12, TileCode.PANEL_ROW);
        a.mov(R13, ROW);
        Label tile = a.here();
        a.mov(RDI, RSI);
        load(RDX, Int8Args.PANEL);
        load(R11, Int8Args.SCALES);
        load(RBX, Int8Args.BLOCKS);
        for (int r = 0; r < rows; r++) {
            a.vpxord(Vec.zmm(r), Vec.zmm(r), Vec.zmm(r));
        }
        Label block = a.here();
        block();
        a.dec(RBX);
        a.j(Cond.NE, block);
        for (int r = 0; r < rows; r++) {
            a.vmovups(Mem.at(RCX).merge(K.K1), Vec.zmm(r));
            a.add(RCX, R8);
        }
        a.imul(RDI, RAX, rows);
        a.add(RSI, RDI);
        a.dec(R10);
        a.j(Cond.G, tile);
        a.tilerelease();
        a.vzeroupper();
        a.mov(RSP, RBP);
        for (int i = SAVED.length - 1; i >= 0; i--) {
            a.pop(SAVED[i]);
        }
        a.ret();
        a.align(64);
        a.bind(configuration);
        a.data(configuration());
        return a;
    }

    private void load(Reg d, int arg) {
        a.mov(d, Mem.at(R9, arg));
    }

    /** Tile 0: C; tile 1: 32 bytes of each row; tile 2: eight rows of a panel. */
    private byte[] configuration() {
        byte[] c = new byte[64];
        c[0] = 1;
        int[] bytes = {ROW, Int8Args.LENGTH, ROW};
        int[] heights = {rows, rows, Int8Args.LENGTH / 4};
        for (int t = 0; t < bytes.length; t++) {
            c[16 + 2 * t] = (byte) bytes[t];
            c[48 + t] = (byte) heights[t];
        }
        return c;
    }

    private void block() {
        a.tileloadd(Tile.TMM1, Mem.at(RDI, RAX, 1, 0));
        a.tileloadd(Tile.TMM2, Mem.at(RDX, R12, 1, 0));
        a.tilezero(Tile.TMM0);
        a.tdpbssd(Tile.TMM0, Tile.TMM1, Tile.TMM2);
        a.tilestored(Mem.at(RSP, R13, 1, 0), Tile.TMM0);
        a.vmovups(SCALES, Mem.at(R11));
        a.mov(R14, RDI);
        for (int r = 0; r < rows; r++) {
            Vec scale = Vec.zmm(17 + r % 6);
            Vec sum = Vec.zmm(23 + r % 6);
            a.vmulps(scale, SCALES, Mem.at(R14, Int8Args.SCALE).spread());
            a.vcvtdq2ps(sum, Mem.at(RSP, ROW * r));
            a.vfmadd231ps(Vec.zmm(r), sum, scale);
            a.add(R14, RAX);
        }
        a.add(RDI, Int8Args.BLOCK);
        a.add(RDX, Int8Args.LENGTH / 4 * TileCode.PANEL_ROW);
        a.add(R11, TileCode.PANEL_ROW);
    }
}
