package dev.jotune.kernels.x86.asm;

import dev.jotune.kernels.x86.asm.Evex.Form;
import dev.jotune.kernels.x86.asm.Evex.Tuple;

/** The EVEX encoding: four bytes of prefix, opcode, operands, and displacements of one byte in units of the operand. */
class EvexCode extends IntegerCode {
    /**
     * One vector instruction.
     *
     * @param reg   the operand in ModRM's register, null in a shift
     * @param extra the operand in the prefix, null where the form has none
     * @param rm    the operand that may be memory
     * @param imm   the constant, 0 where the form has none
     * @throws IllegalArgumentException if widths, masks or broadcasts do not fit the instruction
     */
    final void emit(Evex op, Vec reg, Vec extra, Operand rm, int imm) {
        int width = width(op, reg, extra, rm);
        boolean shift = op.form.shift() != 0;
        boolean store = op.form == Form.STORE || op.form == Form.STORE_IMM;
        Vec target = shift ? extra : reg;
        checkSources(op, store ? reg : extra == target ? null : extra, store ? null : rm);
        check(op, width >= op.narrowest(), width, target);
        check(op, extra == null || extra.bits() == width, width, extra);
        int mask = store ? rm instanceof Vec v ? v.mask() : ((Mem) rm).mask() : target.mask();
        boolean zeroing = store ? rm instanceof Vec v && v.zeroing() : target.zeroing();
        if (op == Evex.VMOVNTPS && mask != 0) {
            throw new IllegalArgumentException("A non-temporal store takes no mask, and k" + mask + " is given. Store with vmovups.");
        }
        int unit = 1;
        boolean broadcast = false;
        int x = 0;
        int b = 0;
        switch (rm) {
            case Vec v -> {
                check(op, v.bits() == Math.max(128, 8 * op.tuple.bytes(width / 8)), width, v);
                x = v.number() >> 4;
                b = v.number() >> 3 & 1;
            }
            case Mem m -> {
                broadcast = m.broadcast();
                if (broadcast && (op.tuple != Tuple.FULL || store)) {
                    throw new IllegalArgumentException(op + " cannot spread one element of memory. Load it with vbroadcastss first.");
                }
                unit = broadcast ? op.element() : op.tuple.bytes(width / 8);
                x = high(m.index());
                b = high(m.base());
            }
        }
        int r = shift ? op.form.shift() : reg.number();
        int v = extra == null ? 0 : extra.number();
        emit(0x62);
        emit((~r >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~r >> 4 & 1) << 4 | op.map);
        emit(op.w << 7 | (~v & 15) << 3 | 4 | prefix(op));
        emit((zeroing ? 0x80 : 0) | (width == 512 ? 0x40 : width == 256 ? 0x20 : 0) | (broadcast ? 0x10 : 0) | (~v >> 4 & 1) << 3 | mask);
        emit(op.opcode);
        int trailing = op.form.hasConstant() ? 1 : 0;
        switch (rm) {
            case Vec s -> registers(r, s.number());
            case Mem m -> memory(r, m, unit, trailing, false);
        }
        if (trailing > 0) {
            emit(imm);
        }
    }

    /** The mandatory prefix as EVEX and VEX count it. */
    private static int prefix(Evex op) {
        return switch (op.prefix) {
            case NONE -> 0;
            case P66 -> 1;
            case F3 -> 2;
            case F2 -> 3;
        };
    }

    /** Bits of the vectors that the instruction works on. */
    private static int width(Evex op, Vec reg, Vec extra, Operand rm) {
        if (op.form.shift() != 0) {
            return extra.bits();
        }
        if (op.form != Form.NARROW) {
            return reg.bits();
        }
        int width = rm instanceof Vec s ? s.bits() : 2 * reg.bits();
        check(op, reg.bits() == Math.max(128, width / 2), width, reg);
        return width;
    }

    private static void checkSources(Evex op, Vec first, Operand last) {
        if (first != null && first.mask() != 0 || last instanceof Vec v && v.mask() != 0 || last instanceof Mem m && m.mask() != 0) {
            throw new IllegalArgumentException("A source of " + op + " is masked: " + first + ", " + last
                    + ". A mask belongs to the destination.");
        }
    }

    private static void check(Evex op, boolean fits, int width, Vec operand) {
        if (!fits) {
            throw new IllegalArgumentException(op + " on " + width + " bits cannot take " + operand
                    + ". Give registers of the widths that the instruction has.");
        }
    }
}
