package dev.jotune.kernels.x86.asm;

/**
 * The vector instructions, all in EVEX encoding: prefix, opcode map, W bit, opcode, how operands stand, and what the
 * last operand is when it lies in memory.
 */
public enum Evex {
    VMOVUPS_LOAD(Prefix.NONE, 1, 0, 0x10, Form.TWO, Tuple.VECTOR),
    VMOVUPS_STORE(Prefix.NONE, 1, 0, 0x11, Form.STORE, Tuple.VECTOR),
    VMOVAPS_LOAD(Prefix.NONE, 1, 0, 0x28, Form.TWO, Tuple.VECTOR),
    VMOVAPS_STORE(Prefix.NONE, 1, 0, 0x29, Form.STORE, Tuple.VECTOR),
    VMOVNTPS(Prefix.NONE, 1, 0, 0x2b, Form.STORE, Tuple.VECTOR),
    VMOVDQU32_LOAD(Prefix.F3, 1, 0, 0x6f, Form.TWO, Tuple.VECTOR),
    VMOVDQU32_STORE(Prefix.F3, 1, 0, 0x7f, Form.STORE, Tuple.VECTOR),
    VMOVDQU16_LOAD(Prefix.F2, 1, 1, 0x6f, Form.TWO, Tuple.VECTOR),
    VMOVDQU16_STORE(Prefix.F2, 1, 1, 0x7f, Form.STORE, Tuple.VECTOR),
    VMOVDQU8_LOAD(Prefix.F2, 1, 0, 0x6f, Form.TWO, Tuple.VECTOR),
    VMOVDQU8_STORE(Prefix.F2, 1, 0, 0x7f, Form.STORE, Tuple.VECTOR),
    VBROADCASTSS(Prefix.P66, 2, 0, 0x18, Form.TWO, Tuple.ONE_OF_4),
    VPBROADCASTD(Prefix.P66, 2, 0, 0x58, Form.TWO, Tuple.ONE_OF_4),
    VPBROADCASTW(Prefix.P66, 2, 0, 0x79, Form.TWO, Tuple.ONE_OF_2),
    VPBROADCASTB(Prefix.P66, 2, 0, 0x78, Form.TWO, Tuple.ONE_OF_1),

    VFMADD231PS(Prefix.P66, 2, 0, 0xb8, Form.THREE, Tuple.FULL),
    VFMADD213PS(Prefix.P66, 2, 0, 0xa8, Form.THREE, Tuple.FULL),
    VFNMADD231PS(Prefix.P66, 2, 0, 0xbc, Form.THREE, Tuple.FULL),
    VADDPS(Prefix.NONE, 1, 0, 0x58, Form.THREE, Tuple.FULL),
    VMULPS(Prefix.NONE, 1, 0, 0x59, Form.THREE, Tuple.FULL),
    VSUBPS(Prefix.NONE, 1, 0, 0x5c, Form.THREE, Tuple.FULL),
    VDIVPS(Prefix.NONE, 1, 0, 0x5e, Form.THREE, Tuple.FULL),
    VMAXPS(Prefix.NONE, 1, 0, 0x5f, Form.THREE, Tuple.FULL),
    VMINPS(Prefix.NONE, 1, 0, 0x5d, Form.THREE, Tuple.FULL),
    VXORPS(Prefix.NONE, 1, 0, 0x57, Form.THREE, Tuple.FULL),
    VANDPS(Prefix.NONE, 1, 0, 0x54, Form.THREE, Tuple.FULL),
    VRNDSCALEPS(Prefix.P66, 3, 0, 0x08, Form.TWO_IMM, Tuple.FULL),

    VDPBF16PS(Prefix.F3, 2, 0, 0x52, Form.THREE, Tuple.FULL),
    VCVTNE2PS2BF16(Prefix.F2, 2, 0, 0x72, Form.THREE, Tuple.FULL),
    VCVTNEPS2BF16(Prefix.F3, 2, 0, 0x72, Form.NARROW, Tuple.FULL),
    VPDPBUSD(Prefix.P66, 2, 0, 0x50, Form.THREE, Tuple.FULL),
    VPDPBUSDS(Prefix.P66, 2, 0, 0x51, Form.THREE, Tuple.FULL),
    VPDPWSSD(Prefix.P66, 2, 0, 0x52, Form.THREE, Tuple.FULL),
    VCVTDQ2PS(Prefix.NONE, 1, 0, 0x5b, Form.TWO, Tuple.FULL),
    VCVTPS2DQ(Prefix.P66, 1, 0, 0x5b, Form.TWO, Tuple.FULL),
    VCVTPH2PS(Prefix.P66, 2, 0, 0x13, Form.TWO, Tuple.HALF),

    VPXORD(Prefix.P66, 1, 0, 0xef, Form.THREE, Tuple.FULL),
    VPANDD(Prefix.P66, 1, 0, 0xdb, Form.THREE, Tuple.FULL),
    VPORD(Prefix.P66, 1, 0, 0xeb, Form.THREE, Tuple.FULL),
    VPADDD(Prefix.P66, 1, 0, 0xfe, Form.THREE, Tuple.FULL),
    VPSUBD(Prefix.P66, 1, 0, 0xfa, Form.THREE, Tuple.FULL),
    VPSUBB(Prefix.P66, 1, 0, 0xf8, Form.THREE, Tuple.VECTOR),
    VPMULLD(Prefix.P66, 2, 0, 0x40, Form.THREE, Tuple.FULL),
    VPMAXSD(Prefix.P66, 2, 0, 0x3d, Form.THREE, Tuple.FULL),
    VPMINSD(Prefix.P66, 2, 0, 0x39, Form.THREE, Tuple.FULL),
    VPTERNLOGD(Prefix.P66, 3, 0, 0x25, Form.THREE_IMM, Tuple.FULL),
    VPSLLD(Prefix.P66, 1, 0, 0x72, Form.SHIFT_6, Tuple.FULL),
    VPSRLD(Prefix.P66, 1, 0, 0x72, Form.SHIFT_2, Tuple.FULL),
    VPSRAD(Prefix.P66, 1, 0, 0x72, Form.SHIFT_4, Tuple.FULL),
    VPSRLVD(Prefix.P66, 2, 0, 0x45, Form.THREE, Tuple.FULL),
    VPMOVSXBD(Prefix.P66, 2, 0, 0x21, Form.TWO, Tuple.QUARTER),
    VPMOVZXBD(Prefix.P66, 2, 0, 0x31, Form.TWO, Tuple.QUARTER),
    VPMOVSXWD(Prefix.P66, 2, 0, 0x23, Form.TWO, Tuple.HALF),
    VPMOVZXWD(Prefix.P66, 2, 0, 0x33, Form.TWO, Tuple.HALF),
    VPMOVDW(Prefix.F3, 2, 0, 0x33, Form.STORE, Tuple.HALF),
    VPMOVDB(Prefix.F3, 2, 0, 0x31, Form.STORE, Tuple.QUARTER),
    VPMOVSDB(Prefix.F3, 2, 0, 0x21, Form.STORE, Tuple.QUARTER),

    VPERMW(Prefix.P66, 2, 1, 0x8d, Form.THREE, Tuple.VECTOR),
    VPERMT2W(Prefix.P66, 2, 1, 0x7d, Form.THREE, Tuple.VECTOR),
    VPERMI2W(Prefix.P66, 2, 1, 0x75, Form.THREE, Tuple.VECTOR),
    VPERMB(Prefix.P66, 2, 0, 0x8d, Form.THREE, Tuple.VECTOR),
    VPERMD(Prefix.P66, 2, 0, 0x36, Form.THREE, Tuple.FULL),
    VPERMT2D(Prefix.P66, 2, 0, 0x7e, Form.THREE, Tuple.FULL),
    VPSHUFB(Prefix.P66, 2, 0, 0x00, Form.THREE, Tuple.VECTOR),
    VPUNPCKLBW(Prefix.P66, 1, 0, 0x60, Form.THREE, Tuple.VECTOR),
    VPUNPCKHBW(Prefix.P66, 1, 0, 0x68, Form.THREE, Tuple.VECTOR),
    VPUNPCKLWD(Prefix.P66, 1, 0, 0x61, Form.THREE, Tuple.VECTOR),
    VPUNPCKHWD(Prefix.P66, 1, 0, 0x69, Form.THREE, Tuple.VECTOR),
    VPUNPCKLDQ(Prefix.P66, 1, 0, 0x62, Form.THREE, Tuple.FULL),
    VPUNPCKHDQ(Prefix.P66, 1, 0, 0x6a, Form.THREE, Tuple.FULL),
    VPUNPCKLQDQ(Prefix.P66, 1, 1, 0x6c, Form.THREE, Tuple.FULL),
    VPUNPCKHQDQ(Prefix.P66, 1, 1, 0x6d, Form.THREE, Tuple.FULL),
    VSHUFI32X4(Prefix.P66, 3, 0, 0x43, Form.THREE_IMM, Tuple.FULL),
    VSHUFF32X4(Prefix.P66, 3, 0, 0x23, Form.THREE_IMM, Tuple.FULL),
    VINSERTI64X4(Prefix.P66, 3, 1, 0x3a, Form.THREE_IMM, Tuple.PART_32),
    VEXTRACTI64X4(Prefix.P66, 3, 1, 0x3b, Form.STORE_IMM, Tuple.PART_32),
    VEXTRACTI32X4(Prefix.P66, 3, 0, 0x39, Form.STORE_IMM, Tuple.PART_16);

    /** The mandatory prefix. */
    enum Prefix { NONE, P66, F3, F2 }

    /** Which operands there are, and where: ModRM's register, the extra register, ModRM's register or memory. */
    enum Form {
        /** register = rm. */
        TWO,
        /** register = rm, constant. */
        TWO_IMM,
        /** register (half as wide) = rm. */
        NARROW,
        /** rm = register. */
        STORE,
        /** rm = register, constant. */
        STORE_IMM,
        /** register = extra, rm. */
        THREE,
        /** register = extra, rm, constant. */
        THREE_IMM,
        /** extra = rm, constant; the register's place extends the opcode. */
        SHIFT_2,
        SHIFT_4,
        SHIFT_6;

        boolean hasConstant() {
            return switch (this) {
                case TWO_IMM, STORE_IMM, THREE_IMM, SHIFT_2, SHIFT_4, SHIFT_6 -> true;
                case TWO, NARROW, STORE, THREE -> false;
            };
        }

        int shift() {
            return switch (this) {
                case SHIFT_2 -> 2;
                case SHIFT_4 -> 4;
                case SHIFT_6 -> 6;
                default -> 0;
            };
        }
    }

    /** What the last operand is in memory. */
    enum Tuple {
        /** A vector; one element may be spread. */
        FULL,
        /** A vector, nothing else. */
        VECTOR, HALF, QUARTER, PART_32, PART_16, ONE_OF_4, ONE_OF_2, ONE_OF_1;

        /** Bytes in memory beside a register of {@code bytes} bytes. */
        int bytes(int bytes) {
            return switch (this) {
                case FULL, VECTOR -> bytes;
                case HALF -> bytes / 2;
                case QUARTER -> bytes / 4;
                case PART_32 -> 32;
                case PART_16 -> 16;
                case ONE_OF_4 -> 4;
                case ONE_OF_2 -> 2;
                case ONE_OF_1 -> 1;
            };
        }
    }

    final Prefix prefix;
    final int map;
    final int w;
    final int opcode;
    final Form form;
    final Tuple tuple;

    Evex(Prefix prefix, int map, int w, int opcode, Form form, Tuple tuple) {
        this.prefix = prefix;
        this.map = map;
        this.w = w;
        this.opcode = opcode;
        this.form = form;
        this.tuple = tuple;
    }

    /** The narrowest vectors that the instruction has. */
    int narrowest() {
        return switch (this) {
            case VINSERTI64X4, VEXTRACTI64X4 -> 512;
            case VPERMD, VSHUFI32X4, VSHUFF32X4, VEXTRACTI32X4 -> 256;
            default -> 128;
        };
    }

    /** Bytes of an element that is spread. */
    int element() {
        return w == 1 ? 8 : 4;
    }
}
