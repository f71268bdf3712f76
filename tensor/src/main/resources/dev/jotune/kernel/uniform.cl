/*
 * Element i of y is number i of the stream, in [0, 1): the upper bits of its word or pair of words of a block, scaled. An item
 * makes a whole block: four floats, or two doubles. Multiplying by a power of two is exact, so the bits are those of every device.
 */
INCLUDE philox.h

KERNEL {
#ifdef REAL_IS_DOUBLE
    for (i64 b = (i64)BIDX * GROUP + LID; 2 * b < n; b += (i64)GRIDX * GROUP) {
        u32 words[4];
        philox((u64)seed, (u64)b, (u64)stream, words);
        for (int i = 0; i < 2 && 2 * b + i < n; i++) {
            u64 bits = ((u64)words[2 * i + 1] << 32) | words[2 * i];
            ST(y, 2 * b + i, (real)(bits >> 11) * R(0x1p-53));
        }
    }
#else
    for (i64 b = (i64)BIDX * GROUP + LID; 4 * b < n; b += (i64)GRIDX * GROUP) {
        u32 words[4];
        philox((u64)seed, (u64)b, (u64)stream, words);
        for (int i = 0; i < 4 && 4 * b + i < n; i++) {
            ST(y, 4 * b + i, (real)(words[i] >> 8) * R(0x1p-24));
        }
    }
#endif
}
