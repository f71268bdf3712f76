package dev.jotune.kernels.x86.asm;

/** Conditions of a jump, by the names of the instruction set: below and above are unsigned, less and greater signed. */
public enum Cond {
    O(0), NO(1), B(2), AE(3), E(4), NE(5), BE(6), A(7), S(8), NS(9), L(12), GE(13), LE(14), G(15);

    final int code;

    Cond(int code) {
        this.code = code;
    }
}
