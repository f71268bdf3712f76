/* The same for every target: how stored numbers become reals and back. */
#define LD(p, i) LD_##p(i)
#define ST(p, i, v) ST_##p(i, v)
#define LD4(p, i) LD4_##p(i)
#define ST4(p, i, v) ST4_##p(i, v)

FN real ld_f32(GLB const float* p, i64 i) {
    return (real)p[i];
}

FN void st_f32(GLB float* p, i64 i, real v) {
    p[i] = (float)v;
}

#ifdef HAS_DOUBLE
FN real ld_f64(GLB const double* p, i64 i) {
    return (real)p[i];
}

FN void st_f64(GLB double* p, i64 i, real v) {
    p[i] = (double)v;
}
#endif

FN real ld_bf16(GLB const u16* p, i64 i) {
    return (real)FLOAT_OF((u32)p[i] << 16);
}

/* To nearest, ties to even; a NaN stays one. */
FN void st_bf16(GLB u16* p, i64 i, real v) {
    float x = (float)v;
    u32 bits = BITS_OF(x);
    p[i] = x != x ? (u16)((bits >> 16) | 0x40u) : (u16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

FN real ld_i64(GLB const i64* p, i64 i) {
    return (real)p[i];
}

FN void st_i64(GLB i64* p, i64 i, real v) {
    p[i] = (i64)v;
}

FN real ld_i32(GLB const int* p, i64 i) {
    return (real)p[i];
}

FN void st_i32(GLB int* p, i64 i, real v) {
    p[i] = (int)v;
}

FN real ld_i8(GLB const i8* p, i64 i) {
    return (real)p[i];
}

FN void st_i8(GLB i8* p, i64 i, real v) {
    p[i] = (i8)v;
}

FN real ld_u8(GLB const u8* p, i64 i) {
    return (real)p[i];
}

FN void st_u8(GLB u8* p, i64 i, real v) {
    p[i] = (u8)v;
}

FN real ld_bool(GLB const u8* p, i64 i) {
    return p[i] != 0 ? R(1.0) : R(0.0);
}

FN void st_bool(GLB u8* p, i64 i, real v) {
    p[i] = v != 0 ? 1 : 0;
}

FN real SIGN(real x) {
    return x > 0 ? R(1.0) : x < 0 ? R(-1.0) : x;
}

/* Each half avoids exp of a large positive number. */
FN real SIGMOID(real x) {
    real e = EXP(-FABS(x));
    return x >= 0 ? R(1.0) / (R(1.0) + e) : e / (R(1.0) + e);
}

