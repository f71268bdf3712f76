/*
 * How the numbers of a quantised weight are widened: WIDEN(n, k) is number k of row n, WIDEN4(n, k) four of them for a k that four
 * divides, bit for bit what the formats' definitions in Java say. The format is the define that is there: Q4_0, Q4_1, ..., NF4,
 * SIGNS. Stands before the text of a kernel with these parameters:
 *
 * b                                 bytes of the weight
 * row_bytes                         of a row
 * ordered, order                    of a block format: 1: row n lies at row order[n]; 0: rows lie in order
 * magnitudes, scales, tables, mean  of NF4, whose rows are inner numbers long; tables: 16 quantiles, 256 codes of magnitudes
 *
 * In ggml's formats a number is a small integer (its code, or what a table has for it) times a scale, and perhaps a minimum; those
 * stand in its block with the codes. Neighbouring items read neighbouring bytes; a block's scales come from the cache.
 */
NO_CONTRACTION

#if defined(NF4)

FN real nf4_magnitude(GLB const u8* magnitudes, GLB const float* scales, GLB const float* tables, real mean, i64 at) {
    return MUL(tables[16 + magnitudes[at / 64]], scales[at / 64 / 256]) + mean;
}

#define WIDEN(n, k) nf4_one(b, tables, (i64)(n) * inner + (k), \
    nf4_magnitude(magnitudes, scales, tables, mean, (i64)(n) * inner + (k)))
#define WIDEN4(n, k) nf4_four(b, tables, (i64)(n) * inner + (k), \
    nf4_magnitude(magnitudes, scales, tables, mean, (i64)(n) * inner + (k)))

FN real nf4_one(GLB const u8* codes, GLB const float* tables, i64 at, real magnitude) {
    int pair = codes[at / 2];
    return tables[at % 2 == 0 ? pair >> 4 : pair & 15] * magnitude;
}

FN real4 nf4_four(GLB const u8* codes, GLB const float* tables, i64 at, real magnitude) {
    int p = codes[at / 2];
    int q = codes[at / 2 + 1];
    return REAL4(tables[p >> 4] * magnitude, tables[p & 15] * magnitude, tables[q >> 4] * magnitude, tables[q & 15] * magnitude);
}

#elif defined(SIGNS)

FN real sign_of(int bits, int place) {
    return (bits >> place & 1) != 0 ? R(1.0) : R(-1.0);
}

#define WIDEN(n, k) sign_of(b[(i64)(n) * row_bytes + (k) / 8], (k) % 8)
#define WIDEN4(n, k) signs_four(b + (i64)(n) * row_bytes, k)

FN real4 signs_four(GLB const u8* row, int k) {
    int bits = row[k / 8] >> k % 8;
    return REAL4(sign_of(bits, 0), sign_of(bits, 1), sign_of(bits, 2), sign_of(bits, 3));
}

#else

/* The half-precision number at an even place. */
FN real half_at(GLB const u8* block, int at) {
    return ld_f16((GLB const f16*)(block + at), 0);
}

FN int low(int byte) {
    return byte & 15;
}

/* Code i of a block of 32: two in a byte, 0 to 15 low, 16 to 31 high. */
FN int four_bits(GLB const u8* codes, int i) {
    return codes[i % 16] >> i / 16 * 4 & 15;
}

/* Bit i of 32 in four bytes. */
FN int bit_of(GLB const u8* bytes, int i) {
    return bytes[i / 8] >> i % 8 & 1;
}

/* Values of IQ4_NL and IQ4_XS, a byte each: -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113. */
FN int non_linear(int code) {
    return (int)(i8)((code < 8 ? 0xf6eaddcfbfad9881UL : 0x7159453526190d01UL) >> code % 8 * 8);
}

#if defined(Q4_0)
#define NUMBERS 32
#define BYTES 18
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return four_bits(x + 2, i) - 8;
}
#elif defined(Q4_1)
#define NUMBERS 32
#define BYTES 20
#define MIN_AT(x, i) half_at(x, 2)
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return four_bits(x + 4, i);
}
#elif defined(Q5_0)
#define NUMBERS 32
#define BYTES 22
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return (four_bits(x + 6, i) | bit_of(x + 2, i) << 4) - 16;
}
#elif defined(Q5_1)
#define NUMBERS 32
#define BYTES 24
#define MIN_AT(x, i) half_at(x, 2)
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return four_bits(x + 8, i) | bit_of(x + 4, i) << 4;
}
#elif defined(Q8_0)
#define NUMBERS 32
#define BYTES 34
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return (int)(i8)x[2 + i];
}
#elif defined(IQ4_NL)
#define NUMBERS 32
#define BYTES 18
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return non_linear(four_bits(x + 2, i));
}
#elif defined(MXFP4)
#define NUMBERS 32
#define BYTES 17
/* 2^(e - 128), half the scale, since codes are twice the values of E2M1; the two smallest are below the normal numbers. */
FN real scale_at(GLB const u8* x, int i) {
    return FLOAT_OF(x[0] < 2 ? 0x00200000u << x[0] : (u32)(x[0] - 1) << 23);
}
FN int code_at(GLB const u8* x, int i) {
    int code = four_bits(x + 1, i);
    int size = (int)(0xc8643210u >> code % 8 * 4 & 15u);
    return code < 8 ? size : -size;
}
#elif defined(Q2_K)
/* 16 bytes of scales (low) and minima (high), 64 bytes of codes, d, dMin. Sub-blocks of 16. */
#define NUMBERS 256
#define BYTES 84
#define MIN_AT(x, i) -(half_at(x, 82) * (real)(x[(i) / 16] >> 4))
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 80) * (real)low(x[i / 16]);
}
FN int code_at(GLB const u8* x, int i) {
    return x[16 + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}
#elif defined(Q3_K)
/* 32 bytes of third bits, inverted, 64 bytes of codes, 12 bytes of six-bit scales, d. Sub-blocks of 16. */
#define NUMBERS 256
#define BYTES 110
FN real scale_at(GLB const u8* x, int i) {
    int sub = i / 16;
    GLB const u8* scales = x + 96;
    int lower = sub < 8 ? low(scales[sub]) : scales[sub - 8] >> 4;
    return half_at(x, 108) * (real)((lower | (scales[8 + sub % 4] >> sub / 4 * 2 & 3) << 4) - 32);
}
FN int code_at(GLB const u8* x, int i) {
    int q = x[32 + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    return q - ((x[i % 32] >> i / 32 & 1) == 0 ? 4 : 0);
}
#elif defined(Q4_K) || defined(Q5_K)
/* d, dMin, 12 bytes of scales and minima; in Q5_K 32 bytes of fifth bits; 128 bytes of codes. Sub-blocks of 32. */
#define NUMBERS 256
#if defined(Q4_K)
#define BYTES 144
#define CODES 16
#define FIFTH(x, i) 0
#else
#define BYTES 176
#define CODES 48
#define FIFTH(x, i) ((x[16 + (i) % 32] >> (i) / 32 & 1) << 4)
#endif
FN int six_bits(GLB const u8* x, int sub, int minimum) {
    GLB const u8* s = x + 4;
    if (sub < 4) {
        return s[sub + 4 * minimum] & 63;
    }
    return (minimum ? s[sub + 4] >> 4 : low(s[sub + 4])) | s[sub - 4 + 4 * minimum] >> 6 << 4;
}
#define MIN_AT(x, i) -(half_at(x, 2) * (real)six_bits(x, (i) / 32, 1))
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 0) * (real)six_bits(x, i / 32, 0);
}
FN int code_at(GLB const u8* x, int i) {
    return (x[CODES + i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15) | FIFTH(x, i);
}
#elif defined(Q6_K)
/* 128 bytes of low and 64 bytes of high code bits, 16 signed scales, d. Sub-blocks of 16. */
#define NUMBERS 256
#define BYTES 210
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 208) * (real)(i8)x[192 + i / 16];
}
FN int code_at(GLB const u8* x, int i) {
    int lower = x[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15;
    int upper = x[128 + i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
    return (lower | upper << 4) - 32;
}
#elif defined(IQ4_XS)
/* d, 16 bits of high and 4 bytes of low scale bits, 128 bytes of codes. Sub-blocks of 32. */
#define NUMBERS 256
#define BYTES 136
FN real scale_at(GLB const u8* x, int i) {
    int sub = i / 32;
    int lower = x[4 + sub / 2] >> sub % 2 * 4 & 15;
    int upper = (x[2] | x[3] << 8) >> 2 * sub & 3;
    return half_at(x, 0) * (real)((lower | upper << 4) - 32);
}
FN int code_at(GLB const u8* x, int i) {
    return non_linear(four_bits(x + 8 + i / 32 * 16, i % 32));
}
#elif defined(TQ1_0)
/* Five numbers of -1, 0, 1 to a byte, as a fraction of 256 in base three; the last 16 four to a byte. */
#define NUMBERS 256
#define BYTES 54
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 52);
}
FN int code_at(GLB const u8* x, int i) {
    int byte = i < 160 ? i % 32 : i < 240 ? 32 + i % 16 : 48 + i % 4;
    int digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
    int power = digit == 0 ? 1 : digit == 1 ? 3 : digit == 2 ? 9 : digit == 3 ? 27 : 81;
    return ((x[byte] * power & 255) * 3 >> 8) - 1;
}
#elif defined(TQ2_0)
#define NUMBERS 256
#define BYTES 66
FN real scale_at(GLB const u8* x, int i) {
    return half_at(x, 64);
}
FN int code_at(GLB const u8* x, int i) {
    return (x[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - 1;
}
#endif

#define STORED_ROW(n) (ordered ? (i64)order[n] : (i64)(n))
#define WIDEN(n, k) block_one(b + STORED_ROW(n) * row_bytes, k)
#define WIDEN4(n, k) block_four(b + STORED_ROW(n) * row_bytes, k)

FN real scaled(real scale, real minimum, int code) {
#ifdef MIN_AT
    return MUL(scale, (real)code) + minimum;
#else
    return scale * (real)code;
#endif
}

/* Four codes of one sub-block share its scale. */
FN real4 block_four(GLB const u8* row, int k) {
    GLB const u8* x = row + (i64)(k / NUMBERS) * BYTES;
    int i = k % NUMBERS;
    real scale = scale_at(x, i);
#ifdef MIN_AT
    real minimum = MIN_AT(x, i);
#else
    real minimum = R(0.0);
#endif
    return REAL4(scaled(scale, minimum, code_at(x, i)), scaled(scale, minimum, code_at(x, i + 1)), scaled(scale, minimum, code_at(x, i + 2)),
        scaled(scale, minimum, code_at(x, i + 3)));
}

FN real block_one(GLB const u8* row, int k) {
    real4 four = block_four(row, k / 4 * 4);
    return k % 4 == 0 ? four.x : k % 4 == 1 ? four.y : k % 4 == 2 ? four.z : four.w;
}

#endif

