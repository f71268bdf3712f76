package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R12;
import static dev.jotune.kernels.x86.asm.Reg.R13;
import static dev.jotune.kernels.x86.asm.Reg.R14;
import static dev.jotune.kernels.x86.asm.Reg.R15;
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
 * Emits the tile kernel: {@code rows x vectors} accumulators stay in registers while the inner sum runs, each step
 * loading a row of the panel and one spread element of every row of A.
 *
 * <p>A is read as it lies. Packing it would save address registers and nothing else: 6 x 4 vectors take ten loads for
 * twelve cycles of multiply-adds. The panel streams from the second-level cache at 21 bytes a cycle, so what counts
 * is that the next panel is there in time: four steps of the sum fetch {@code ahead} of its lines.
 *
 * <p>Where a panel has no more than 8 columns, halves of the registers hold the sums, of which a processor that computes 512 bits in two
 * steps multiplies two a cycle; elements of A are spread as they are multiplied.
 *
 * <p>One argument, the address of a {@link TileArgs} block, kept in R9. RSI and RCX hold A and C; RDI,
 * RBX, RBP and R15 the first, fourth, seventh and tenth row of the tile; R13 the panel's row, RDX the
 * bytes to the next if they are not {@link #PANEL_ROW}; R14 counts steps.
 */
final class TileCode {
    /** Columns of a panel. */
    static final int WIDTH = 64;
    /** Columns of a vector. */
    static final int LANES = 16;
    /** Bytes from one row of a panel to the next. */
    static final int PANEL_ROW = 4 * WIDTH;
    private static final Reg[] ROW_BASES = {RDI, RBX, RBP, R15};
    private static final Reg[] SAVED = {RBX, RBP, R12, R13, R14, R15};

    private final Assembler a = new Assembler();
    private final Operands operands;
    private final int rows;
    private final int vectors;
    private final int ahead;

    private TileCode(Operands operands, int rows, int vectors, int ahead) {
        this.operands = operands;
        this.rows = rows;
        this.vectors = vectors;
        this.ahead = ahead;
    }

    /** Rows of the tallest tile that leaves registers for {@code vectors} columns of 16. */
    static int maxRows(int vectors) {
        return vectors <= 2 ? 12 : vectors == 3 ? 8 : 6;
    }

    /** The kernel's code; {@code ahead} is 0, 1 or 4. */
    static Assembler emit(Operands operands, int rows, int vectors, int ahead) {
        return new TileCode(operands, rows, vectors, ahead).code();
    }

    private Assembler code() {
        for (Reg r : SAVED) {
            a.push(r);
        }
        a.mov(R9, RDI);
        load(RSI, TileArgs.A);
        load(RDX, TileArgs.PANEL_STRIDE);
        load(RCX, TileArgs.C);
        load(R8, TileArgs.C_STRIDE);
        load(R10, TileArgs.TILES);
        load(R11, TileArgs.AHEAD);
        load(RAX, TileArgs.MASK);
        a.kmovw(K.K1, RAX);
        if (operands == Operands.WIDENED) {
            a.mov(RAX, 0xffff0000L);
            a.vpbroadcastd(upperHalf(), RAX);
        }
        Label tile = a.here();
        load(RAX, TileArgs.A_STRIDE);
        rowBases(RSI);
        a.mov(R13, RCX);
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < vectors; v++) {
                a.prefetchw(Mem.at(R13, 64 * v));
            }
            a.add(R13, R8);
        }
        for (int i = 0; i < rows * vectors; i++) {
            a.vpxord(vector(i), vector(i), vector(i));
        }
        load(R13, TileArgs.PANEL);
        sum();
        scale();
        lowRank();
        bias();
        residual();
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < vectors; v++) {
                Mem target = Mem.at(RCX, 64 * v);
                a.vmovups(v == vectors - 1 ? target.merge(K.K1) : target, sum(r, v));
            }
            a.add(RCX, R8);
        }
        load(RAX, TileArgs.A_STRIDE);
        a.imul(RAX, RAX, rows);
        a.add(RSI, RAX);
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

    private boolean narrow() {
        return operands == Operands.NARROW;
    }

    private Vec vector(int number) {
        return narrow() ? Vec.ymm(number) : Vec.zmm(number);
    }

    private Vec sum(int row, int vector) {
        return vector(row * vectors + vector);
    }

    private Vec panel(int vector) {
        return vector(rows * vectors + vector);
    }

    private static Vec upperHalf() {
        return Vec.zmm(31);
    }

    /** Registers that take turns for elements of A, so that one is loaded while another is used. */
    private Vec element(int row) {
        int first = (rows + 1) * vectors;
        int free = (operands == Operands.WIDENED ? 31 : 32) - first;
        return Vec.zmm(first + row % free);
    }

    /** Every third row's address, from the stride in RAX; leaves three times the stride in R12. */
    private void rowBases(Reg first) {
        if (first != RDI) {
            a.mov(RDI, first);
        }
        a.lea(R12, Mem.at(RAX, RAX, 2, 0));
        for (int i = 3; i < rows; i += 3) {
            a.lea(ROW_BASES[i / 3], Mem.at(ROW_BASES[i / 3 - 1], R12, 1, 0));
        }
    }

    private Mem row(int row, int disp) {
        Reg base = ROW_BASES[row / 3];
        return row % 3 == 0 ? Mem.at(base, disp) : Mem.at(base, RAX, row % 3, disp);
    }

    private void advance(int aBytes, int panelRows) {
        for (int i = 0; i < rows; i += 3) {
            a.add(ROW_BASES[i / 3], aBytes);
        }
        if (panelRows > 0) {
            a.add(R13, panelRows * operands.panelRow());
        }
    }

    /** The inner sum: four words of A a round, then what is left. */
    private void sum() {
        boolean widened = operands == Operands.WIDENED;
        int panelRows = widened ? 2 : 4;
        Label rest = new Label();
        Label done = new Label();
        load(R14, TileArgs.STEPS);
        a.sub(R14, 4);
        a.j(Cond.L, rest);
        a.align(32);
        Label round = a.here();
        for (int i = 0; i < ahead; i++) {
            a.prefetcht1(Mem.at(R11, 64 * i));
        }
        for (int i = 0; i < panelRows; i++) {
            if (widened) {
                pair(i * PANEL_ROW, 8 * i, true);
            } else {
                step(i * operands.panelRow(), 4 * i, operands);
            }
        }
        advance(16, operands == Operands.LOOSE ? 0 : panelRows);
        if (ahead > 0) {
            a.add(R11, 64 * ahead);
        }
        a.sub(R14, 4);
        a.j(Cond.GE, round);
        a.bind(rest);
        a.add(R14, 4);
        a.j(Cond.E, done);
        if (widened) {
            Label odd = new Label();
            a.cmp(R14, 2);
            a.j(Cond.L, odd);
            pair(0, 0, true);
            advance(8, 1);
            a.sub(R14, 2);
            a.j(Cond.E, done);
            a.bind(odd);
            pair(0, 0, false);
        } else {
            Label single = a.here();
            step(0, 0, operands);
            advance(4, operands == Operands.LOOSE ? 0 : 1);
            a.dec(R14);
            a.j(Cond.NE, single);
        }
        a.bind(done);
    }

    private void step(int panelDisp, int aDisp, Operands how) {
        boolean loose = how == Operands.LOOSE;
        for (int v = 0; v < vectors; v++) {
            // Where the panel is a part of a wider matrix nothing may be read beyond its last column.
            Vec target = loose && v == vectors - 1 ? panel(v).zero(K.K1) : panel(v);
            a.vmovups(target, Mem.at(R13, (loose ? 0 : panelDisp) + 64 * v));
        }
        if (loose) {
            a.add(R13, RDX);
        }
        multiply(aDisp, how == Operands.BF16);
    }

    /** Two steps over a row of BF16 pairs: the lower halves, then the upper ones. Without the second at an odd end. */
    private void pair(int panelDisp, int aDisp, boolean both) {
        for (int v = 0; v < vectors; v++) {
            a.vpslld(panel(v), Mem.at(R13, panelDisp + 64 * v), 16);
        }
        multiply(aDisp, false);
        if (both) {
            for (int v = 0; v < vectors; v++) {
                a.vpandd(panel(v), upperHalf(), Mem.at(R13, panelDisp + 64 * v));
            }
            multiply(aDisp + 4, false);
        }
    }

    private void multiply(int aDisp, boolean dots) {
        for (int r = 0; r < rows; r++) {
            if (narrow()) {
                a.vfmadd231ps(sum(r, 0), panel(0), row(r, aDisp).spread());
                continue;
            }
            a.vbroadcastss(element(r), row(r, aDisp));
            for (int v = 0; v < vectors; v++) {
                if (dots) {
                    a.vdpbf16ps(sum(r, v), panel(v), element(r));
                } else {
                    a.vfmadd231ps(sum(r, v), panel(v), element(r));
                }
            }
        }
    }

    private void scale() {
        Label none = new Label();
        load(R13, TileArgs.SCALE);
        a.test(R13, R13);
        a.j(Cond.E, none);
        a.vbroadcastss(panel(0), Mem.at(R9, TileArgs.SCALE));
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < vectors; v++) {
                a.vmulps(sum(r, v), sum(r, v), panel(0));
            }
        }
        a.bind(none);
    }

    /** {@code RANK} more steps, always F32, over rows and a panel of their own; no narrow product has them. */
    private void lowRank() {
        if (narrow()) {
            return;
        }
        Label none = new Label();
        load(RDI, TileArgs.LEFT);
        a.test(RDI, RDI);
        a.j(Cond.E, none);
        load(RAX, TileArgs.LEFT_STRIDE);
        a.imul(R13, RAX, rows);
        a.add(R13, RDI);
        a.mov(Mem.at(R9, TileArgs.LEFT), R13);
        rowBases(RDI);
        load(R13, TileArgs.RIGHT);
        load(R14, TileArgs.RANK);
        Label next = a.here();
        step(0, 0, Operands.F32);
        advance(4, 1);
        a.dec(R14);
        a.j(Cond.NE, next);
        a.bind(none);
    }

    private void bias() {
        Label none = new Label();
        load(R13, TileArgs.BIAS);
        a.test(R13, R13);
        a.j(Cond.E, none);
        for (int v = 0; v < vectors; v++) {
            a.vmovups(v == vectors - 1 ? panel(v).zero(K.K1) : panel(v), Mem.at(R13, 64 * v));
            for (int r = 0; r < rows; r++) {
                a.vaddps(sum(r, v), sum(r, v), panel(v));
            }
        }
        a.bind(none);
    }

    private void residual() {
        Label none = new Label();
        load(R13, TileArgs.RESIDUAL);
        a.test(R13, R13);
        a.j(Cond.E, none);
        load(RDI, TileArgs.RESIDUAL_STRIDE);
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < vectors; v++) {
                Vec target = sum(r, v);
                a.vaddps(v == vectors - 1 ? target.merge(K.K1) : target, target, Mem.at(R13, 64 * v));
            }
            a.add(R13, RDI);
        }
        a.mov(Mem.at(R9, TileArgs.RESIDUAL), R13);
        a.bind(none);
    }
}
