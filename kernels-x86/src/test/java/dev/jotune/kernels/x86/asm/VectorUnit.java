package dev.jotune.kernels.x86.asm;

import dev.jotune.kernels.x86.asm.Evex.Form;
import dev.jotune.kernels.x86.asm.Evex.Tuple;
import java.util.EnumSet;
import java.util.Set;

/** The vector registers, masks, and how a vector instruction reads and writes; what it computes is {@link VectorMeaning}'s. */
final class VectorUnit {
    /** Those whose lanes come from other places: a mask does not spare them reading their whole operand. */
    private static final Set<Evex> GATHERING = EnumSet.of(Evex.VPERMW, Evex.VPERMT2W, Evex.VPERMI2W, Evex.VPERMB, Evex.VPERMD, Evex.VPERMT2D,
            Evex.VPSHUFB, Evex.VPUNPCKLBW, Evex.VPUNPCKHBW, Evex.VPUNPCKLWD, Evex.VPUNPCKHWD, Evex.VPUNPCKLDQ, Evex.VPUNPCKHDQ,
            Evex.VPUNPCKLQDQ, Evex.VPUNPCKHQDQ, Evex.VSHUFI32X4, Evex.VSHUFF32X4, Evex.VINSERTI64X4, Evex.VCVTNE2PS2BF16);

    private final Ranges memory;
    final byte[][] registers = new byte[32][64];
    final long[] masks = new long[8];

    VectorUnit(Ranges memory) {
        this.memory = memory;
    }

    void zeroUpper() {
        for (int i = 0; i < 16; i++) {
            for (int b = 16; b < 64; b++) {
                registers[i][b] = 0;
            }
        }
    }

    /** One instruction; {@code address} is its memory operand's. */
    void execute(Instruction s, long address) {
        Evex op = s.vector();
        if (op == null) {
            throw new AssertionError("Not an instruction that is emulated: " + s);
        }
        int bytes = s.bits() / 8;
        boolean store = op.form == Form.STORE || op.form == Form.STORE_IMM;
        int element = VectorMeaning.element(op);
        if (store) {
            int size = op.tuple.bytes(bytes);
            byte[] old = s.place() == null ? registers[s.rm()] : new byte[64];
            byte[] result = VectorMeaning.compute(op, bytes, old, null, registers[s.reg()], (int) s.immediate());
            if (s.place() == null) {
                write(s.rm(), result, size, element, s);
                return;
            }
            for (int i = 0; i < size / element; i++) {
                if (isActive(s, i)) {
                    memory.write(address + (long) i * element, result, i * element, element);
                }
            }
            return;
        }
        byte[] b = s.place() == null ? registers[s.rm()] : load(s, address, bytes, element);
        int target = op.form.shift() == 0 ? s.reg() : s.extra();
        byte[] result = VectorMeaning.compute(op, bytes, registers[target], registers[s.extra()], b, (int) s.immediate());
        write(target, result, op.form == Form.NARROW ? bytes / 2 : bytes, element, s);
    }

    private boolean isActive(Instruction s, int lane) {
        return s.mask() == 0 || (masks[s.mask()] >>> lane & 1) != 0;
    }

    private byte[] load(Instruction s, long address, int bytes, int element) {
        Evex op = s.vector();
        byte[] out = new byte[64];
        if (s.place().broadcast()) {
            int size = op.element();
            memory.read(address, out, 0, size);
            for (int i = size; i < bytes; i++) {
                out[i] = out[i - size];
            }
        } else if (s.mask() != 0 && !GATHERING.contains(op) && (op.tuple == Tuple.FULL || op.tuple == Tuple.VECTOR)) {
            int size = op.form == Form.NARROW ? 4 : element;
            for (int i = 0; i < bytes / size; i++) {
                if (isActive(s, i)) {
                    memory.read(address + (long) i * size, out, i * size, size);
                }
            }
        } else {
            memory.read(address, out, 0, op.tuple.bytes(bytes));
        }
        return out;
    }

    /** Lanes under the mask; above the result a register is zero. */
    private void write(int target, byte[] result, int bytes, int element, Instruction s) {
        byte[] out = new byte[64];
        for (int i = 0; i < bytes / element; i++) {
            byte[] from = isActive(s, i) ? result : s.zeroing() ? null : registers[target];
            if (from != null) {
                System.arraycopy(from, i * element, out, i * element, element);
            }
        }
        registers[target] = out;
    }
}
