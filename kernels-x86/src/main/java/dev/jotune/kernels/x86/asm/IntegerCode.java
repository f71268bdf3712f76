package dev.jotune.kernels.x86.asm;

/** Instructions on general registers, jumps, and prefetches. */
class IntegerCode extends CodeBuffer {
    /** REX, opcode and a register operand. */
    private void rr(boolean wide, int opcode, int reg, int rm) {
        rex(wide, reg >> 3, 0, rm >> 3);
        opcode(opcode);
        registers(reg, rm);
    }

    private void rm(boolean wide, int opcode, int reg, Mem m) {
        rex(wide, reg >> 3, high(m.index()), high(m.base()));
        opcode(opcode);
        memory(reg, m, 1, 0, false);
    }

    private void rex(boolean wide, int r, int x, int b) {
        int bits = (wide ? 8 : 0) | r << 2 | x << 1 | b;
        if (bits != 0) {
            emit(0x40 | bits);
        }
    }

    /** One byte, or two after 0F. */
    private void opcode(int opcode) {
        if (opcode > 0xff) {
            emit(opcode >> 8);
        }
        emit(opcode);
    }

    /** {@code d = s}. */
    public final void mov(Reg d, Reg s) {
        rr(true, 0x8b, d.number(), s.number());
    }

    /** {@code d = value}, in the shortest of three forms. */
    public final void mov(Reg d, long value) {
        if (value >= 0 && value <= 0xffff_ffffL) {
            rex(false, 0, 0, high(d));
            emit(0xb8 | d.number() & 7);
            emit32((int) value);
        } else if (value == (int) value) {
            rr(true, 0xc7, 0, d.number());
            emit32((int) value);
        } else {
            rex(true, 0, 0, high(d));
            emit(0xb8 | d.number() & 7);
            emit64(value);
        }
    }

    /** Loads 64 bits. */
    public final void mov(Reg d, Mem s) {
        rm(true, 0x8b, d.number(), s);
    }

    /** Stores 64 bits. */
    public final void mov(Mem d, Reg s) {
        rm(true, 0x89, s.number(), d);
    }

    /** Loads 32 bits; the upper half becomes zero. */
    public final void mov32(Reg d, Mem s) {
        rm(false, 0x8b, d.number(), s);
    }

    /** Stores 32 bits. */
    public final void mov32(Mem d, Reg s) {
        rm(false, 0x89, s.number(), d);
    }

    /** {@code d = address of s}. */
    public final void lea(Reg d, Mem s) {
        rm(true, 0x8d, d.number(), s);
    }

    /** An operation of the family that shares one encoding. */
    private enum Alu {
        ADD, OR, ADC, SBB, AND, SUB, XOR, CMP
    }

    private void alu(Alu op, Reg d, Reg s) {
        rr(true, op.ordinal() << 3 | 3, d.number(), s.number());
    }

    private void alu(Alu op, Reg d, Mem s) {
        rm(true, op.ordinal() << 3 | 3, d.number(), s);
    }

    private void alu(Alu op, Reg d, int value) {
        boolean small = value == (byte) value;
        rr(true, small ? 0x83 : 0x81, op.ordinal(), d.number());
        if (small) {
            emit(value);
        } else {
            emit32(value);
        }
    }

    public final void add(Reg d, Reg s) {
        alu(Alu.ADD, d, s);
    }

    public final void add(Reg d, int value) {
        alu(Alu.ADD, d, value);
    }

    public final void add(Reg d, Mem s) {
        alu(Alu.ADD, d, s);
    }

    public final void sub(Reg d, Reg s) {
        alu(Alu.SUB, d, s);
    }

    public final void sub(Reg d, int value) {
        alu(Alu.SUB, d, value);
    }

    public final void sub(Reg d, Mem s) {
        alu(Alu.SUB, d, s);
    }

    public final void and(Reg d, Reg s) {
        alu(Alu.AND, d, s);
    }

    public final void and(Reg d, int value) {
        alu(Alu.AND, d, value);
    }

    public final void or(Reg d, Reg s) {
        alu(Alu.OR, d, s);
    }

    public final void xor(Reg d, Reg s) {
        alu(Alu.XOR, d, s);
    }

    public final void cmp(Reg a, Reg b) {
        alu(Alu.CMP, a, b);
    }

    public final void cmp(Reg a, int value) {
        alu(Alu.CMP, a, value);
    }

    public final void cmp(Reg a, Mem b) {
        alu(Alu.CMP, a, b);
    }

    public final void test(Reg a, Reg b) {
        rr(true, 0x85, b.number(), a.number());
    }

    public final void imul(Reg d, Reg s) {
        rr(true, 0x0faf, d.number(), s.number());
    }

    /** {@code d = s * value}. */
    public final void imul(Reg d, Reg s, int value) {
        rr(true, 0x69, d.number(), s.number());
        emit32(value);
    }

    public final void inc(Reg d) {
        rr(true, 0xff, 0, d.number());
    }

    public final void dec(Reg d) {
        rr(true, 0xff, 1, d.number());
    }

    public final void neg(Reg d) {
        rr(true, 0xf7, 3, d.number());
    }

    public final void shl(Reg d, int bits) {
        rr(true, 0xc1, 4, d.number());
        emit(bits);
    }

    public final void shr(Reg d, int bits) {
        rr(true, 0xc1, 5, d.number());
        emit(bits);
    }

    public final void push(Reg r) {
        rex(false, 0, 0, high(r));
        emit(0x50 | r.number() & 7);
    }

    public final void pop(Reg r) {
        rex(false, 0, 0, high(r));
        emit(0x58 | r.number() & 7);
    }

    public final void ret() {
        emit(0xc3);
    }

    public final void jmp(Label target) {
        if (isNear(target)) {
            emit(0xeb);
            emit(target.position() - position() - 1);
        } else {
            emit(0xe9);
            distance(target, 0);
        }
    }

    /** Jumps if the last comparison, test or arithmetic came out so. */
    public final void j(Cond condition, Label target) {
        if (isNear(target)) {
            emit(0x70 | condition.code);
            emit(target.position() - position() - 1);
        } else {
            emit(0x0f);
            emit(0x80 | condition.code);
            distance(target, 0);
        }
    }

    private boolean isNear(Label target) {
        return target.isBound() && position() + 2 - target.position() <= 128;
    }

    /** Into every cache. */
    public final void prefetcht0(Mem m) {
        rm(false, 0x0f18, 1, m);
    }

    /** Into the second level and beyond. */
    public final void prefetcht1(Mem m) {
        rm(false, 0x0f18, 2, m);
    }

    /** For one use. */
    public final void prefetchnta(Mem m) {
        rm(false, 0x0f18, 0, m);
    }

    /** To be written soon. */
    public final void prefetchw(Mem m) {
        rm(false, 0x0f0d, 1, m);
    }

    /** Orders non-temporal stores before what follows. */
    public final void sfence() {
        emit(0x0f);
        emit(0xae);
        emit(0xf8);
    }

    /** Leaf RAX, sub-leaf RCX; answers in RAX, RBX, RCX, RDX. */
    public final void cpuid() {
        emit(0x0f);
        emit(0xa2);
    }

    /** Extended control register RCX to RDX:RAX. */
    public final void xgetbv() {
        emit(0x0f);
        emit(0x01);
        emit(0xd0);
    }
}
