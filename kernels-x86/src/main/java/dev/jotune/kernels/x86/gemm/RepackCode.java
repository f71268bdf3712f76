package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R8;
import static dev.jotune.kernels.x86.asm.Reg.R9;
import static dev.jotune.kernels.x86.asm.Reg.RAX;
import static dev.jotune.kernels.x86.asm.Reg.RBP;
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
import dev.jotune.kernels.x86.asm.Reg;
import dev.jotune.kernels.x86.asm.Vec;

/**
 * Emits the copies of {@link Repack}. The transposing ones take squares of 16 x 16 words through the registers: four
 * rounds of 16 shuffles, which is what two shuffle units do in the time that one store unit needs for the result.
 *
 * <p>Missing rows and columns of a last square count as zeros; whole vectors are stored, so that a target's row must
 * have room for the source's rows rounded up to 16.
 */
final class RepackCode {
    /** The argument block: places of 64-bit numbers. */
    static final int SOURCE = 0;
    static final int SOURCE_STRIDE = 8;
    static final int TARGET = 16;
    static final int TARGET_STRIDE = 24;
    static final int ROWS = 32;
    static final int COLUMNS = 40;
    /** The lowest {@code COLUMNS % 16} bits, or all 16 if that is none; the row copies need no other. */
    static final int MASK = 48;
    /** Of transposing copies: how far behind the source lies what the next copy will read. */
    static final int AHEAD = 56;
    private static final Reg[] SAVED = {RBX, RBP};
    /** Words of two vectors by turns. */
    private static final int[] ALTERNATE = new int[16];
    private static final int[] ALTERNATE_UPPER = new int[16];

    static {
        for (int i = 0; i < 16; i++) {
            ALTERNATE[i] = i | 32 + i << 16;
            ALTERNATE_UPPER[i] = 16 + i | 48 + i << 16;
        }
    }

    private final Assembler a = new Assembler();
    private final Repack kind;
    private final Label alternate = new Label();
    private final Label alternateUpper = new Label();
    private final Label halves = new Label();

    private RepackCode(Repack kind) {
        this.kind = kind;
    }

    static Assembler emit(Repack kind) {
        return new RepackCode(kind).code();
    }

    private Assembler code() {
        for (Reg r : SAVED) {
            a.push(r);
        }
        a.mov(R9, RDI);
        a.mov(RSI, arg(SOURCE));
        a.mov(RAX, arg(SOURCE_STRIDE));
        a.mov(RDX, arg(TARGET));
        a.mov(RCX, arg(TARGET_STRIDE));
        a.mov(R10, arg(ROWS));
        if (kind.isTransposing()) {
            a.mov(RBP, arg(AHEAD));
            squares();
        } else if (kind == Repack.ROUND_PANEL) {
            roundPanel();
        } else if (kind == Repack.SPLIT_ROWS_2 || kind == Repack.SPLIT_ROWS_3) {
            new SplitCode(a, kind == Repack.SPLIT_ROWS_2 ? 2 : 3).rows();
        } else if (kind == Repack.SPLIT_PANEL_2 || kind == Repack.SPLIT_PANEL_3) {
            new SplitCode(a, kind == Repack.SPLIT_PANEL_2 ? 2 : 3).panel();
        } else {
            new RowCopy(a, kind).emit();
        }
        a.vzeroupper();
        for (int i = SAVED.length - 1; i >= 0; i--) {
            a.pop(SAVED[i]);
        }
        a.ret();
        a.align(64);
        a.bind(alternate);
        a.ints(ALTERNATE);
        a.bind(alternateUpper);
        a.ints(ALTERNATE_UPPER);
        a.bind(halves);
        for (int i = 0; i < 16; i++) {
            a.ints(i | 16 + i << 16);
        }
        return a;
    }

    private static Mem arg(int place) {
        return Mem.at(R9, place);
    }

    // RSI and RDX: the first square of 16 source rows and its place; RDI and R8: the current one. R10 rows and R11
    // columns that are left.
    private void squares() {
        Label band = a.here();
        a.mov(RDI, RSI);
        a.mov(R8, RDX);
        a.mov(R11, arg(COLUMNS));
        Label square = a.here();
        loadSquare();
        transpose();
        storeSquare();
        a.add(RDI, 64);
        a.imul(RBX, RCX, kind.made);
        a.add(R8, RBX);
        a.sub(R11, 16);
        a.j(Cond.G, square);
        a.imul(RBX, RAX, 16);
        a.add(RSI, RBX);
        a.add(RDX, kind.filled);
        a.sub(R10, 16);
        a.j(Cond.G, band);
    }

    private void loadSquare() {
        Label masked = new Label();
        Label whole = new Label();
        Label loaded = new Label();
        a.mov(RBX, 0xffff);
        a.cmp(R11, 16);
        a.j(Cond.GE, masked);
        a.mov(RBX, arg(MASK));
        a.bind(masked);
        a.kmovw(K.K1, RBX);
        a.mov(RBX, RDI);
        a.cmp(R10, 16);
        a.j(Cond.GE, whole);
        for (int i = 0; i < 16; i++) {
            a.vpxord(Vec.zmm(i), Vec.zmm(i), Vec.zmm(i));
        }
        for (int i = 0; i < 16; i++) {
            a.cmp(R10, i);
            a.j(Cond.LE, loaded);
            a.vmovups(Vec.zmm(i).zero(K.K1), Mem.at(RBX));
            a.add(RBX, RAX);
        }
        a.bind(whole);
        for (int i = 0; i < 16; i++) {
            a.vmovups(Vec.zmm(i).zero(K.K1), Mem.at(RBX));
            a.prefetcht0(Mem.at(RBX, RBP, 1, 0));
            a.add(RBX, RAX);
        }
        a.bind(loaded);
    }

    /** Rows in zmm0 to zmm15 become columns there; each round goes over to the other half of the registers or back. */
    private void transpose() {
        for (int i = 0; i < 16; i += 2) {
            a.vpunpckldq(Vec.zmm(16 + i), Vec.zmm(i), Vec.zmm(i + 1));
            a.vpunpckhdq(Vec.zmm(17 + i), Vec.zmm(i), Vec.zmm(i + 1));
        }
        for (int i = 0; i < 16; i += 4) {
            for (int j = 0; j < 2; j++) {
                a.vpunpcklqdq(Vec.zmm(i + 2 * j), Vec.zmm(16 + i + j), Vec.zmm(18 + i + j));
                a.vpunpckhqdq(Vec.zmm(i + 2 * j + 1), Vec.zmm(16 + i + j), Vec.zmm(18 + i + j));
            }
        }
        // Register 4 g + j now holds, for rows 4 g to 4 g + 3, column j of each of its four quarters.
        for (int j = 0; j < 4; j++) {
            for (int half = 0; half < 2; half++) {
                Vec upper = Vec.zmm(8 * half + j);
                Vec lower = Vec.zmm(8 * half + 4 + j);
                a.vshufi32x4(Vec.zmm(16 + 4 * j + 2 * half), upper, lower, 0x88);
                a.vshufi32x4(Vec.zmm(17 + 4 * j + 2 * half), upper, lower, 0xdd);
            }
        }
        for (int j = 0; j < 4; j++) {
            for (int odd = 0; odd < 2; odd++) {
                Vec first = Vec.zmm(16 + 4 * j + odd);
                Vec second = Vec.zmm(18 + 4 * j + odd);
                a.vshufi32x4(Vec.zmm(4 * odd + j), first, second, 0x88);
                a.vshufi32x4(Vec.zmm(8 + 4 * odd + j), first, second, 0xdd);
            }
        }
    }

    private void storeSquare() {
        Label stored = new Label();
        a.mov(RBX, R8);
        if (kind == Repack.PAIRS) {
            a.vmovups(Vec.zmm(30), Mem.at(alternate));
            a.vmovups(Vec.zmm(31), Mem.at(alternateUpper));
        } else if (kind == Repack.ROUND_TRANSPOSED) {
            a.vmovups(Vec.zmm(30), Mem.at(halves));
        }
        for (int i = 0; i < kind.made; i++) {
            if (i > 0) {
                a.cmp(R11, 16 / kind.made * i);
                a.j(Cond.LE, stored);
            }
            storeRow(i);
            a.add(RBX, RCX);
        }
        a.bind(stored);
    }

    private void storeRow(int i) {
        switch (kind) {
            case PAIRS -> {
                a.vmovups(Vec.zmm(16), Vec.zmm(2 * i));
                a.vpermt2w(Vec.zmm(16), Vec.zmm(30), Vec.zmm(2 * i + 1));
                a.vpermt2w(Vec.zmm(2 * i), Vec.zmm(31), Vec.zmm(2 * i + 1));
                a.vmovups(Mem.at(RBX), Vec.zmm(16));
                a.vmovups(Mem.at(RBX, 64), Vec.zmm(2 * i));
            }
            case WIDEN_PAIRS -> {
                a.vextracti64x4(Vec.ymm(16), Vec.zmm(i), 1);
                a.vpmovzxwd(Vec.zmm(17), Vec.ymm(i));
                a.vpmovzxwd(Vec.zmm(16), Vec.ymm(16));
                a.vpslld(Vec.zmm(17), Vec.zmm(17), 16);
                a.vpslld(Vec.zmm(16), Vec.zmm(16), 16);
                a.vmovups(Mem.at(RBX), Vec.zmm(17));
                a.vmovups(Mem.at(RBX, 64), Vec.zmm(16));
            }
            case ROUND_TRANSPOSED -> {
                round(Vec.zmm(16), Vec.zmm(2 * i), Vec.zmm(2 * i + 1));
                a.vmovups(Mem.at(RBX), Vec.zmm(16));
            }
            default -> a.vmovups(Mem.at(RBX), Vec.zmm(i));
        }
    }

    /** Pairs of the rounded elements of two vectors; the order of words lies in zmm30. */
    private void round(Vec target, Vec even, Vec odd) {
        a.vcvtne2ps2bf16(target, odd, even);
        a.vpermw(target, Vec.zmm(30), target);
    }

    private void roundPanel() {
        Label pair = new Label();
        Label last = new Label();
        Label done = new Label();
        a.vmovups(Vec.zmm(30), Mem.at(halves));
        a.sub(R10, 2);
        a.j(Cond.L, last);
        a.bind(pair);
        a.mov(RBX, RSI);
        a.add(RBX, RAX);
        for (int v = 0; v < 4; v++) {
            a.vmovups(Vec.zmm(v), Mem.at(RSI, 64 * v));
            a.vmovups(Vec.zmm(4 + v), Mem.at(RBX, 64 * v));
            round(Vec.zmm(16 + v), Vec.zmm(v), Vec.zmm(4 + v));
            a.vmovups(Mem.at(RDX, 64 * v), Vec.zmm(16 + v));
        }
        a.add(RDX, RCX);
        a.mov(RSI, RBX);
        a.add(RSI, RAX);
        a.sub(R10, 2);
        a.j(Cond.GE, pair);
        a.bind(last);
        a.add(R10, 2);
        a.j(Cond.E, done);
        a.vpxord(Vec.zmm(4), Vec.zmm(4), Vec.zmm(4));
        for (int v = 0; v < 4; v++) {
            a.vmovups(Vec.zmm(v), Mem.at(RSI, 64 * v));
            round(Vec.zmm(16 + v), Vec.zmm(v), Vec.zmm(4));
            a.vmovups(Mem.at(RDX, 64 * v), Vec.zmm(16 + v));
        }
        a.bind(done);
    }
}
