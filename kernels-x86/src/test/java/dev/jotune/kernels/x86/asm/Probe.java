package dev.jotune.kernels.x86.asm;

import dev.jotune.kernels.x86.asm.Evex.Form;
import dev.jotune.kernels.x86.asm.Evex.Tuple;

/**
 * Code around one vector instruction. Its argument is the address of a block: the target before at 0, the sources at 64
 * and 128, the mask at 192; the target's register comes to 256, and 320 is what a store writes.
 *
 * @param op        the instruction
 * @param bits      width of its vectors
 * @param source    what its last operand is
 * @param masking   what is done with the mask
 * @param immediate its constant
 */
public record Probe(Evex op, int bits, Source source, Masking masking, int immediate) {
    /** Bytes of a block. */
    public static final int BLOCK = 384;

    /** What the last operand is. */
    public enum Source { REGISTER, MEMORY, SPREAD }

    /** What is done with the mask. */
    public enum Masking { NONE, MERGE, ZERO }

    /** Whether there is such an instruction. */
    public boolean exists() {
        boolean store = op.form == Form.STORE || op.form == Form.STORE_IMM;
        boolean registers = !op.name().endsWith("_STORE") && op != Evex.VMOVNTPS;
        return bits >= op.narrowest()
                && (source != Source.SPREAD || op.tuple == Tuple.FULL && !store)
                && (source != Source.REGISTER || registers)
                && (op != Evex.VMOVNTPS || masking == Masking.NONE)
                && (!store || source != Source.MEMORY || masking != Masking.ZERO)
                && (op.form != Form.NARROW || bits > 128 || source == Source.REGISTER);
    }

    /** Whether its lanes are F32 numbers, whose NaNs may differ in their bits. */
    public boolean isFloat() {
        return op.name().endsWith("PS") && op != Evex.VXORPS && op != Evex.VANDPS;
    }

    /** The code. */
    public byte[] code() {
        Assembler a = new Assembler();
        a.vmovups(Vec.zmm(17), Mem.at(Reg.RDI));
        a.vmovups(Vec.zmm(2), Mem.at(Reg.RDI, 64));
        a.vmovups(Vec.zmm(30), Mem.at(Reg.RDI, 128));
        a.mov(Reg.RAX, Mem.at(Reg.RDI, 192));
        a.kmovq(K.K5, Reg.RAX);
        boolean store = op.form == Form.STORE || op.form == Form.STORE_IMM;
        int lastBits = Math.max(128, 8 * op.tuple.bytes(bits / 8));
        if (store) {
            Operand target = source == Source.REGISTER ? masked(17, lastBits)
                    : masking == Masking.NONE ? Mem.at(Reg.RDI, 320) : Mem.at(Reg.RDI, 320).merge(K.K5);
            a.emit(op, new Vec(30, bits, 0, false), null, target, immediate);
        } else {
            Operand last = switch (source) {
                case REGISTER -> new Vec(30, lastBits, 0, false);
                case MEMORY -> Mem.at(Reg.RDI, 128);
                case SPREAD -> Mem.at(Reg.RDI, 132).spread();
            };
            Vec extra = new Vec(2, bits, 0, false);
            switch (op.form) {
                case THREE, THREE_IMM -> a.emit(op, masked(17, bits), extra, last, immediate);
                case SHIFT_2, SHIFT_4, SHIFT_6 -> a.emit(op, null, masked(17, bits), last, immediate);
                case NARROW -> a.emit(op, masked(17, Math.max(128, bits / 2)), null, last, immediate);
                default -> a.emit(op, masked(17, bits), null, last, immediate);
            }
        }
        a.vmovups(Mem.at(Reg.RDI, 256), Vec.zmm(17));
        a.vzeroupper();
        a.ret();
        return a.toBytes();
    }

    private Vec masked(int number, int width) {
        Vec plain = new Vec(number, width, 0, false);
        return switch (masking) {
            case NONE -> plain;
            case MERGE -> plain.merge(K.K5);
            case ZERO -> plain.zero(K.K5);
        };
    }
}
