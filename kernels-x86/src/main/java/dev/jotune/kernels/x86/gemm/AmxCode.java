package dev.jotune.kernels.x86.gemm;

import static dev.jotune.kernels.x86.asm.Reg.R10;
import static dev.jotune.kernels.x86.asm.Reg.R11;
import static dev.jotune.kernels.x86.asm.Reg.R12;
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
import dev.jotune.kernels.x86.asm.Label;
import dev.jotune.kernels.x86.asm.Mem;
import dev.jotune.kernels.x86.asm.Reg;
import dev.jotune.kernels.x86.asm.Tile;

/**
 * Emits the AMX kernel: up to 2 x 2 tiles of C stay in registers while the inner sum runs. With two of A and two of B
 * all eight are in use, and each tile that is loaded serves two products.
 *
 * <p>A step is 32 elements of the sum: 64 bytes of a row of A, 16 rows of pairs of a panel. Where factors are split, the
 * pieces of a step lie side by side, and the products of a step follow one another in an order in which neighbours share
 * a piece: six products of three pieces each take 14 tile loads instead of 24.
 *
 * <p>One argument, the address of a block, kept in R9. RSI and RCX: the first row of the group in A and C; RDI and RBX:
 * its two tiles of A at the current step, RBP: the lower tiles of C, R11: the panel there.
 */
final class AmxCode {
    /** The argument block: the tiles' configuration in 64 bytes, then places of 64-bit numbers. Strides in bytes. */
    static final int CONFIGURATION = 0;
    static final int A = 64;
    static final int A_STRIDE = 72;
    static final int PANEL = 80;
    static final int STEPS = 88;
    static final int C = 96;
    static final int C_STRIDE = 104;
    /** Groups of 32 rows (16 if there is one tile of rows), all of the configured shape. */
    static final int GROUPS = 112;
    /** Not 0: the sums are added to what is in C. */
    static final int ADD = 120;
    static final int SIZE = 128;

    /** Bytes of a tile's row, and of a row of A in a step. */
    static final int ROW = 64;
    /** Bytes of a panel in a step: 16 rows. */
    static final int PANEL_STEP = 16 * TileCode.PANEL_ROW;
    private static final Reg[] SAVED = {RBX, RBP, R12};

    private final Assembler a = new Assembler();
    private final Operands operands;
    private final int rows;
    private final int columns;

    private AmxCode(Operands operands, int rows, int columns) {
        this.operands = operands;
        this.rows = rows;
        this.columns = columns;
    }

    /** The kernel for 1 or 2 tiles of rows and of columns. */
    static Assembler emit(Operands operands, int rowTiles, int columnTiles) {
        return new AmxCode(operands, rowTiles, columnTiles).code();
    }

    private static Mem arg(int place) {
        return Mem.at(R9, place);
    }

    private Assembler code() {
        for (Reg r : SAVED) {
            a.push(r);
        }
        a.mov(R9, RDI);
        a.ldtilecfg(arg(CONFIGURATION));
        a.mov(RSI, arg(A));
        a.mov(RDX, arg(A_STRIDE));
        a.mov(RCX, arg(C));
        a.mov(R8, arg(C_STRIDE));
        a.mov(R10, arg(GROUPS));
        a.mov(RAX, TileCode.PANEL_ROW);
        Label group = a.here();
        lower(RBP, RCX, R8);
        begin();
        a.mov(RDI, RSI);
        lower(RBX, RSI, RDX);
        a.mov(R11, arg(PANEL));
        a.mov(R12, arg(STEPS));
        a.align(32);
        Label step = a.here();
        products();
        a.add(RDI, ROW * operands.leftPieces());
        a.add(RBX, ROW * operands.leftPieces());
        a.add(R11, PANEL_STEP * operands.rightPieces());
        a.dec(R12);
        a.j(Cond.NE, step);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                a.tilestored(target(r, c), sum(r, c));
            }
        }
        next(RSI, RDX);
        next(RCX, R8);
        a.dec(R10);
        a.j(Cond.NE, group);
        a.tilerelease();
        for (int i = SAVED.length - 1; i >= 0; i--) {
            a.pop(SAVED[i]);
        }
        a.ret();
        return a;
    }

    /** The address 16 rows below {@code from}. */
    private void lower(Reg target, Reg from, Reg stride) {
        a.mov(target, stride);
        a.shl(target, 4);
        a.add(target, from);
    }

    /** Moves on by a group of rows. */
    private void next(Reg address, Reg stride) {
        a.imul(R12, stride, 16 * rows);
        a.add(address, R12);
    }

    private static Tile sum(int row, int column) {
        return Tile.values()[2 * row + column];
    }

    private static Tile left(int row) {
        return Tile.values()[4 + row];
    }

    private static Tile right(int column) {
        return Tile.values()[6 + column];
    }

    private static Mem target(int row, int column) {
        return Mem.at(row == 0 ? RCX : RBP, R8, 1, ROW * column);
    }

    private void begin() {
        Label add = new Label();
        Label begun = new Label();
        a.mov(R12, arg(ADD));
        a.test(R12, R12);
        a.j(Cond.NE, add);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                a.tilezero(sum(r, c));
            }
        }
        a.jmp(begun);
        a.bind(add);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                a.tileloadd(sum(r, c), target(r, c));
            }
        }
        a.bind(begun);
    }

    /** The products of one step; a piece that the last one used is not loaded again. */
    private void products() {
        int leftPiece = -1;
        int rightPiece = -1;
        for (int[] pieces : operands.products()) {
            if (pieces[0] != leftPiece) {
                leftPiece = pieces[0];
                for (int r = 0; r < rows; r++) {
                    a.tileloadd(left(r), Mem.at(r == 0 ? RDI : RBX, RDX, 1, ROW * leftPiece));
                }
            }
            if (pieces[1] != rightPiece) {
                rightPiece = pieces[1];
                for (int c = 0; c < columns; c++) {
                    a.tileloadd(right(c), Mem.at(R11, RAX, 1, PANEL_STEP * rightPiece + ROW * c));
                }
            }
            for (int r = 0; r < rows; r++) {
                for (int c = 0; c < columns; c++) {
                    a.tdpbf16ps(sum(r, c), left(r), right(c));
                }
            }
        }
    }
}
