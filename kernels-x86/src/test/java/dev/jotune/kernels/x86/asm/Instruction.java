package dev.jotune.kernels.x86.asm;

/**
 * An instruction as it was decoded.
 *
 * @param encoding  of the three that we emit
 * @param map       0 for one-byte opcodes, 1 for 0F, 2 for 0F38, 3 for 0F3A
 * @param prefix    0, or 1 to 3 for 66, F3, F2
 * @param wide      64 bits where there are two sizes
 * @param opcode    last byte of the opcode
 * @param reg       ModRM's register, or the opcode's extension
 * @param extra     the register in the prefix
 * @param rm        ModRM's other register, -1 if it is memory
 * @param place     the memory operand, null if it is a register
 * @param immediate the constant behind
 * @param bits      width of vectors
 * @param mask      mask register, 0 for none
 * @param zeroing   what the mask does
 * @param vector    the vector instruction it is, null for others
 * @param length    bytes
 */
record Instruction(Encoding encoding, int map, int prefix, boolean wide, int opcode, int reg, int extra, int rm, Mem place, long immediate,
        int bits, int mask, boolean zeroing, Evex vector, int length) {
    /** How it is written. */
    enum Encoding { LEGACY, VEX, EVEX }
}
