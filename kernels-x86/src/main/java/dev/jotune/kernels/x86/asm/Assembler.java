package dev.jotune.kernels.x86.asm;

/**
 * Writes machine code: each method appends one instruction, named as the instruction set names it, destination first.
 *
 * {@snippet :
 * var a = new Assembler();
 * Label loop = a.here();
 * a.vmovups(zmm(0), Mem.at(RSI));
 * a.vfmadd231ps(zmm(8), zmm(0), Mem.at(RDI, 4).spread());
 * a.vmovups(Mem.at(RCX, RAX, 4, 64).merge(K1), zmm(8));
 * a.dec(RDX);
 * a.j(Cond.NE, loop);
 * a.vzeroupper();
 * a.ret();
 * }
 *
 * <p>Code that Java calls ends with {@link #vzeroupper} (and {@link #tilerelease} where tiles were used) and
 * {@link #ret}. Operands that cannot be encoded are refused with {@link IllegalArgumentException}.
 */
public final class Assembler extends VectorCode {
    /** All lanes get the register's low 32 bits. */
    public void vpbroadcastd(Vec d, Reg s) {
        int r = d.number();
        emit(0x62);
        emit((~r >> 3 & 1) << 7 | 0x40 | (~s.number() >> 3 & 1) << 5 | (~r >> 4 & 1) << 4 | 2);
        emit(0x7d);
        emit((d.zeroing() ? 0x80 : 0) | (d.bits() == 512 ? 0x40 : d.bits() == 256 ? 0x20 : 0) | 8 | d.mask());
        emit(0x7c);
        registers(r, s.number());
    }

    /** The lowest 16 bits of a mask. */
    public void kmovw(K d, Reg s) {
        vex(d.number(), 0, s.number(), 1, 0, 0, 0x92);
    }

    /** The lowest 32 bits of a mask. */
    public void kmovd(K d, Reg s) {
        vex(d.number(), 0, s.number(), 1, 3, 0, 0x92);
    }

    /** A mask of 64 bits. */
    public void kmovq(K d, Reg s) {
        vex(d.number(), 0, s.number(), 1, 3, 1, 0x92);
    }

    /** A mask into a register. */
    public void kmovq(Reg d, K s) {
        vex(d.number(), 0, s.number(), 1, 3, 1, 0x93);
    }

    /** Clears the upper parts of all vector registers, without which the JVM's own code would run slowly. */
    public void vzeroupper() {
        emit(0xc5);
        emit(0xf8);
        emit(0x77);
    }

    /** Loads the tiles' shapes from 64 bytes and clears the tiles. */
    public void ldtilecfg(Mem m) {
        vexMemory(0, m, 0, 0x49, false);
    }

    /** Stores the tiles' shapes to 64 bytes. */
    public void sttilecfg(Mem m) {
        vexMemory(0, m, 1, 0x49, false);
    }

    /** Gives the tiles back. */
    public void tilerelease() {
        vex(0, 0, 0, 2, 0, 0, 0x49);
    }

    public void tilezero(Tile t) {
        vex(t.number(), 0, 0, 2, 3, 0, 0x49);
    }

    /** Loads rows that begin {@code index * scale} bytes apart; the operand must have an index. */
    public void tileloadd(Tile t, Mem m) {
        tileMemory(t, m, 3);
    }

    /** As tileloadd, for data of one use. */
    public void tileloaddt1(Tile t, Mem m) {
        tileMemory(t, m, 1);
    }

    /** Stores rows that begin {@code index * scale} bytes apart; the operand must have an index. */
    public void tilestored(Mem m, Tile t) {
        tileMemory(t, m, 2);
    }

    /** {@code d += a b}: F32 sums of products of BF16 pairs, b holding pairs of rows. */
    public void tdpbf16ps(Tile d, Tile a, Tile b) {
        tiles(d, a, b, 2, 0x5c);
    }

    /** {@code d += a b}: int sums of products of four signed bytes. */
    public void tdpbssd(Tile d, Tile a, Tile b) {
        tiles(d, a, b, 3, 0x5e);
    }

    /** {@code d += a b}: int sums of products of four unsigned bytes of a and signed bytes of b. */
    public void tdpbusd(Tile d, Tile a, Tile b) {
        tiles(d, a, b, 1, 0x5e);
    }

    private void tiles(Tile d, Tile a, Tile b, int prefix, int opcode) {
        if (d == a || d == b || a == b) {
            throw new IllegalArgumentException("A product of tiles has the operands " + d + ", " + a + " and " + b
                    + ". The processor wants three different ones.");
        }
        vex(d.number(), b.number(), a.number(), 2, prefix, 0, opcode);
    }

    private void tileMemory(Tile t, Mem m, int prefix) {
        if (m.index() == null) {
            throw new IllegalArgumentException("A tile is loaded or stored at " + m + ", which has no index. "
                    + "The index register holds the bytes from row to row.");
        }
        vexMemory(t.number(), m, prefix, 0x4b, true);
    }

    private void vexMemory(int reg, Mem m, int prefix, int opcode, boolean sib) {
        vexPrefix(reg, high(m.index()), high(m.base()), 0, 2, prefix, 0);
        emit(opcode);
        memory(reg, m, 1, 0, sib);
    }

    private void vex(int reg, int extra, int rm, int map, int prefix, int w, int opcode) {
        vexPrefix(reg, 0, rm >> 3, extra, map, prefix, w);
        emit(opcode);
        registers(reg, rm);
    }

    // Always three bytes; the two-byte form would save nothing that matters. Vectors of 128 bits: nothing here has others.
    private void vexPrefix(int reg, int x, int b, int extra, int map, int prefix, int w) {
        emit(0xc4);
        emit((~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | map);
        emit(w << 7 | (~extra & 15) << 3 | prefix);
    }
}
