/*
 * Merges the runs that decode_attention.cu made: each is a sum, the largest score in it and its weight. A group takes a head of
 * queries of a text, the texts' heads one after another. Reads each part once.
 */
KERNEL {
    i64 first = (i64)BIDX * runs * (SIZE + 2);
    real most = NEG_INF;
    for (i64 s = 0; s < runs; s++) {
        most = FMAX(most, LD(parts, first + s * (SIZE + 2) + SIZE));
    }
    real weight = R(0.0);
    for (i64 s = 0; s < runs; s++) {
        i64 at = first + s * (SIZE + 2) + SIZE;
        weight = FMA(LD(parts, at + 1), EXP(LD(parts, at) - most), weight);
    }
    for (int i = LID; i < SIZE; i += GROUP) {
        real sum = R(0.0);
        for (i64 s = 0; s < runs; s++) {
            i64 at = first + s * (SIZE + 2);
            sum = FMA(LD(parts, at + i), EXP(LD(parts, at + SIZE) - most), sum);
        }
        ST(out, (i64)BIDX * SIZE + i, sum / weight);
    }
}
