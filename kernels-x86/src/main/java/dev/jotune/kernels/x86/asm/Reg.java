package dev.jotune.kernels.x86.asm;

/**
 * General 64-bit registers.
 *
 * <p>In a call from Java the arguments come in {@code RDI, RSI, RDX, RCX, R8, R9}, then on the stack; {@code RBX, RBP,
 * RSP} and {@code R12} to {@code R15} must be given back as they were.
 */
public enum Reg {
    RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15;

    int number() {
        return ordinal();
    }
}
