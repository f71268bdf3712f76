package dev.jotune.kernels.x86;

/**
 * What a processor may have. A leaf of CPUID with its sub-leaf, the register (0 to 3: EAX, EBX, ECX, EDX) and the bit
 * that tells.
 */
enum Feature {
    AVX512F(7, 0, 1, 16),
    AVX512DQ(7, 0, 1, 17),
    AVX512BW(7, 0, 1, 30),
    AVX512VL(7, 0, 1, 31),
    AVX512_VBMI(7, 0, 2, 1),
    AVX512_VNNI(7, 0, 2, 11),
    AVX512_BF16(7, 1, 0, 5),
    AMX_TILE(7, 0, 3, 24),
    AMX_INT8(7, 0, 3, 25),
    AMX_BF16(7, 0, 3, 22);

    final int leaf;
    final int subLeaf;
    final int register;
    final int bit;

    Feature(int leaf, int subLeaf, int register, int bit) {
        this.leaf = leaf;
        this.subLeaf = subLeaf;
        this.register = register;
        this.bit = bit;
    }

    boolean isAmx() {
        return ordinal() >= AMX_TILE.ordinal();
    }
}
