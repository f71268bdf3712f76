package dev.jotune.kernels.x86.asm;

/** Mask registers: a bit for each lane. K0 cannot mask an instruction, its number means "all lanes". */
public enum K {
    K0, K1, K2, K3, K4, K5, K6, K7;

    int number() {
        return ordinal();
    }
}
