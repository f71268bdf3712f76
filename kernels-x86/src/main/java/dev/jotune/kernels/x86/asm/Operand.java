package dev.jotune.kernels.x86.asm;

/** What an instruction can read in its last place: a vector register or memory. */
public sealed interface Operand permits Vec, Mem {}
