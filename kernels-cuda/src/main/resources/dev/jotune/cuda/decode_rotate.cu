/*
 * Queries, keys and values of a token of each text on their way to attention: heads are normalised where the model does so, queries and
 * keys turned, and keys and values put into the cache behind the tokens that `state` counts, so that a recorded step serves every
 * length. Group (x, y) takes a head of text y: HEADS of queries, then GROUPS of keys, then GROUPS of values. Each number is read and
 * written once.
 */
FN void turn(SHP real* head, GLB const float* cosine, GLB const float* sine) {
    for (int i = LID; i < HALF; i += GROUP) {
        real a = head[i];
        real b = head[i + HALF];
        head[i] = FMA(a, cosine[i], -(b * sine[i]));
        head[i + HALF] = FMA(b, cosine[i], a * sine[i]);
    }
}

KERNEL {
    SHM real head[SIZE];
    SHM real scratch[GROUP];
    bool isQuery = BIDX < HEADS;
    bool isValue = BIDX >= HEADS + GROUPS;
    int at = isQuery ? BIDX : isValue ? BIDX - HEADS - GROUPS : BIDX - HEADS;
    real squares = R(0.0);
    for (int i = LID; i < SIZE; i += GROUP) {
        i64 from = ((i64)BIDY * (isQuery ? HEADS : GROUPS) + at) * SIZE + i;
        real x = isQuery ? LD(query, from) : isValue ? LD(value, from) : LD(key, from);
        head[i] = x;
        squares = FMA(x, x, squares);
    }
    if (NORMED && !isValue) {
        real factor = RSQRT(GROUP_SUM(squares, scratch) / (real)SIZE + eps);
        for (int i = LID; i < SIZE; i += GROUP) {
            head[i] *= factor * (isQuery ? LD(queryNorm, i) : LD(keyNorm, i));
        }
    }
    BARRIER();
    if (!isValue) {
        turn(head, cosine + BIDY * HALF, sine + BIDY * HALF);
        BARRIER();
    }
    i64 place = BIDY * textStride + at * headStride + state[STATE * BIDY + 1] * rowStride;
    for (int i = LID; i < SIZE; i += GROUP) {
        if (isQuery) {
            ST(query, ((i64)BIDY * HEADS + at) * SIZE + i, head[i]);
        } else if (isValue) {
            ST(values, place + i, head[i]);
        } else {
            ST(keys, place + i, head[i]);
        }
    }
}
