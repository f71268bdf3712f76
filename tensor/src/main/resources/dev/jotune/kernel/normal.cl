/*
 * Element i of y is normal number i of the stream: Box and Muller's transform of the two doubles of block i / 2, the even one with
 * the cosine. Logarithm and sine are series of IEEE additions, multiplications and divisions of doubles, evaluated in the order of
 * dev.jotune.tensor.random.BoxMuller and never contracted, so the bits are those of every device. An item makes a pair.
 */
INCLUDE philox.h

NO_CONTRACTION

/* Natural logarithm of a normal positive number m 2^e: 2 atanh((m - 1) / (m + 1)) + e ln 2, m in [sqrt(1/2), sqrt(2)]. */
FN real ln_exact(real x) {
    int exponent;
    real m = FREXP(x, &exponent) * R(2.0);
    exponent -= 1;
    if (m > R(1.4142135623730951)) {
        m *= R(0.5);
        exponent++;
    }
    real s = (m - R(1.0)) / (m + R(1.0));
    real square = s * s;
    real sum = R(0.0);
    for (int k = 10; k >= 0; k--) {
        sum = MUL(sum, square) + R(1.0) / (real)(2 * k + 1);
    }
    return MUL((real)exponent, R(0.6931471805599453)) + MUL(R(2.0) * s, sum);
}

/* sin(2 pi u + quarters pi / 2): the nearest quarter turn off, exactly, then Taylor's series on [-pi/4, pi/4]. */
FN real sin_quarter(real u, int quarters) {
    int nearest = (int)(R(4.0) * u + R(0.5));
    real x = (R(4.0) * u - nearest) * R(1.5707963267948966);
    int quadrant = (nearest + quarters) & 3;
    real square = x * x;
    real sum = R(1.0);
    if ((quadrant & 1) == 0) {
        for (int k = 17; k > 1; k -= 2) {
            sum = R(1.0) - sum * square / (real)(k * (k - 1));
        }
        sum = x * sum;
    } else {
        for (int k = 16; k > 0; k -= 2) {
            sum = R(1.0) - sum * square / (real)(k * (k - 1));
        }
    }
    return quadrant < 2 ? sum : -sum;
}

KERNEL {
    for (i64 b = (i64)BIDX * GROUP + LID; 2 * b < n; b += (i64)GRIDX * GROUP) {
        u32 words[4];
        philox((u64)seed, (u64)b, (u64)stream, words);
        u64 first = ((u64)words[1] << 32) | words[0];
        u64 second = ((u64)words[3] << 32) | words[2];
        real radius = SQRT(R(-2.0) * ln_exact(R(1.0) - (real)(first >> 11) * R(0x1p-53)));
        real turn = (real)(second >> 11) * R(0x1p-53);
        ST(y, 2 * b, radius * sin_quarter(turn, 1));
        if (2 * b + 1 < n) {
            ST(y, 2 * b + 1, radius * sin_quarter(turn, 0));
        }
    }
}
