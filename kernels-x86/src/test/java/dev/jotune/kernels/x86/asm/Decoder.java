package dev.jotune.kernels.x86.asm;

import dev.jotune.kernels.x86.asm.Instruction.Encoding;

/** Reads the encodings that the assembler writes, from the bytes alone. */
final class Decoder {
    private final byte[] code;
    private final int start;
    private int at;
    private int reg;
    private int rm;
    private Mem place;

    private Decoder(byte[] code, int start) {
        this.code = code;
        this.start = start;
        at = start;
    }

    static Instruction at(byte[] code, int position) {
        Decoder d = new Decoder(code, position);
        return switch (code[position] & 0xff) {
            case 0x62 -> d.evex();
            case 0xc4 -> d.vex();
            case 0xc5 -> d.shortVex();
            default -> d.legacy();
        };
    }

    private int next() {
        return code[at++] & 0xff;
    }

    private int next32() {
        return next() | next() << 8 | next() << 16 | next() << 24;
    }

    private Instruction evex() {
        at++;
        int p0 = next();
        int p1 = next();
        int p2 = next();
        int opcode = next();
        int map = p0 & 7;
        boolean wide = p1 >> 7 != 0;
        int prefix = p1 & 3;
        int bits = 128 << (p2 >> 5 & 3);
        int bigReg = (~p0 >> 7 & 1) << 3 | (~p0 >> 4 & 1) << 4;
        Evex op = find(map, prefix, wide, opcode, code[at] >> 3 & 7);
        boolean broadcast = (p2 & 0x10) != 0;
        int unit = op == null ? 1 : broadcast ? op.element() : op.tuple.bytes(bits / 8);
        modRm(~p0 >> 6 & 1, ~p0 >> 5 & 1, unit);
        if (place == null) {
            rm |= (~p0 >> 6 & 1) << 4;
        } else if (broadcast) {
            place = place.spread();
        }
        int extra = ~p1 >> 3 & 15 | (~p2 >> 3 & 1) << 4;
        long immediate = op != null && op.form.hasConstant() ? next() : 0;
        return new Instruction(Encoding.EVEX, map, prefix, wide, opcode, reg | bigReg, extra, rm, place, immediate, bits,
                p2 & 7, p2 >> 7 != 0, op, at - start);
    }

    private static Evex find(int map, int prefix, boolean wide, int opcode, int extension) {
        for (Evex op : Evex.values()) {
            if (op.map == map && op.prefix.ordinal() == prefix && op.w == 1 == wide && op.opcode == opcode
                    && (op.form.shift() == 0 || op.form.shift() == extension)) {
                return op;
            }
        }
        return null;
    }

    private Instruction vex() {
        at++;
        int p0 = next();
        int p1 = next();
        int opcode = next();
        modRm(~p0 >> 6 & 1, ~p0 >> 5 & 1, 1);
        return new Instruction(Encoding.VEX, p0 & 31, p1 & 3, p1 >> 7 != 0, opcode, reg | (~p0 >> 7 & 1) << 3, ~p1 >> 3 & 15, rm, place, 0, 128,
                0, false, null, at - start);
    }

    private Instruction shortVex() {
        at += 2;
        return new Instruction(Encoding.VEX, 1, 0, false, next(), 0, 0, -1, null, 0, 128, 0, false, null, at - start);
    }

    private Instruction legacy() {
        boolean operandSize = code[at] == 0x66;
        if (operandSize) {
            at++;
        }
        int rex = (code[at] & 0xf0) == 0x40 ? next() : 0;
        int map = 0;
        int opcode = next();
        if (opcode == 0x0f) {
            map = 1;
            opcode = next();
        }
        long immediate = 0;
        reg = 0;
        rm = -1;
        if (map == 0 && (opcode & 0xf0) == 0x50) {
            rm = opcode & 7 | (rex & 1) << 3;
            opcode &= 0xf8;
        } else if (map == 0 && (opcode & 0xf8) == 0xb8) {
            rm = opcode & 7 | (rex & 1) << 3;
            opcode = 0xb8;
            immediate = next32() & 0xffff_ffffL;
            if ((rex & 8) != 0) {
                immediate |= (long) next32() << 32;
            }
        } else if (map == 0 && ((opcode & 0xf0) == 0x70 || opcode == 0xeb)) {
            immediate = (byte) next();
        } else if (map == 0 && opcode == 0xe9 || map == 1 && (opcode & 0xf0) == 0x80) {
            immediate = next32();
        } else if (hasModRm(map, opcode)) {
            modRm(rex >> 1 & 1, rex & 1, 1);
            reg |= (rex >> 2 & 1) << 3;
            if (map == 0 && (opcode == 0x83 || opcode == 0xc1)) {
                immediate = (byte) next();
            } else if (map == 0 && (opcode == 0x81 || opcode == 0xc7 || opcode == 0x69)) {
                immediate = next32();
            }
        }
        return new Instruction(Encoding.LEGACY, map, operandSize ? 1 : 0, (rex & 8) != 0, opcode, reg, 0, rm, place, immediate, 0, 0, false, null,
                at - start);
    }

    private static boolean hasModRm(int map, int opcode) {
        return !(map == 0 && (opcode == 0xc3 || opcode == 0x90) || map == 1 && opcode == 0xa2);
    }

    private void modRm(int x, int b, int unit) {
        int modRm = next();
        int mod = modRm >> 6;
        reg = modRm >> 3 & 7;
        if (mod == 3) {
            rm = modRm & 7 | b << 3;
            return;
        }
        rm = -1;
        int base = modRm & 7;
        Reg index = null;
        int scale = 1;
        if (base == 4) {
            int sib = next();
            base = sib & 7;
            int number = sib >> 3 & 7 | x << 3;
            scale = 1 << (sib >> 6);
            index = number == 4 ? null : Reg.values()[number];
        } else if (base == 5 && mod == 0) {
            // Relative to the end of the instruction: the emulator resolves a label to it.
            int disp = next32();
            place = new Mem(null, null, 1, disp, new Label(), false, 0);
            return;
        }
        int disp = mod == 1 ? (byte) next() * unit : mod == 2 ? next32() : 0;
        place = new Mem(Reg.values()[base | b << 3], index, index == null ? 1 : scale, disp, null, false, 0);
    }
}
