package dev.jotune.kernels.x86.asm;

/** Mask registers: a bit for each lane. K0 cannot mask an instruction, its number means "all lanes". */
public enum K {
    K0, K1, K2, K3, K4, K5, K6, K7;

    int number() {
        return ordinal();
    }

    /** The number, for a mask. */
    int masking() {
        if (this == K0) {
            throw new IllegalArgumentException("k0 cannot mask an instruction. Take k1 to k7, or no mask for all lanes.");
        }
        return ordinal();
    }
}
