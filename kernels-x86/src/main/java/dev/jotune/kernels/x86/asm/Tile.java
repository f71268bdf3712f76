package dev.jotune.kernels.x86.asm;

/** Tile registers of AMX: up to 16 rows of 64 bytes each, as the loaded configuration says. */
public enum Tile {
    TMM0, TMM1, TMM2, TMM3, TMM4, TMM5, TMM6, TMM7;

    int number() {
        return ordinal();
    }
}
