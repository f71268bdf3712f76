/* CUDA C without headers: what the words of the kernels' dialect mean. Inline PTX stands here and nowhere else. */
typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short f16;
#ifdef REAL_IS_DOUBLE
typedef double real;
#define R(x) x
#define REAL_FN(name) name
#else
typedef float real;
#define R(x) x##f
#define REAL_FN(name) name##f
#endif
#define FN static __device__ __forceinline__
#define GLB
#define SHM __shared__
#define SHP
/* A kernel with REGISTERS_FIRST has what registers it needs, if need be at the price of one group at a time on a unit; left to itself,
   the compiler spills a few so that two fit. */
#ifdef REGISTERS_FIRST
#define KERNEL_HEAD extern "C" __global__ void __launch_bounds__(GROUP, 1)
#else
#define KERNEL_HEAD extern "C" __global__ void __launch_bounds__(GROUP)
#endif
#define LID ((int)threadIdx.x)
#define BIDX ((int)blockIdx.x)
#define BIDY ((int)blockIdx.y)
#define BIDZ ((int)blockIdx.z)
#define GRIDX ((int)gridDim.x)
#define BARRIER() __syncthreads()
#define BITS_OF(x) ((u32)__float_as_int(x))
#define FLOAT_OF(x) __int_as_float((int)(x))
#define POS_INF ((real)FLOAT_OF(0x7f800000u))
#define NEG_INF ((real)FLOAT_OF(0xff800000u))
#define NOT_A_NUMBER ((real)FLOAT_OF(0x7fc00000u))
#define FMA(a, b, c) REAL_FN(fma)(a, b, c)
#define EXP(x) REAL_FN(exp)(x)
#define LOG(x) REAL_FN(log)(x)
#define LOG1P(x) REAL_FN(log1p)(x)
#define SQRT(x) REAL_FN(sqrt)(x)
#define RSQRT(x) REAL_FN(rsqrt)(x)
#define TANH(x) REAL_FN(tanh)(x)
#define ERF(x) REAL_FN(erf)(x)
#define SIN(x) REAL_FN(sin)(x)
#define COS(x) REAL_FN(cos)(x)
#define POW(x, y) REAL_FN(pow)(x, y)
#define FLOOR(x) REAL_FN(floor)(x)
#define FABS(x) REAL_FN(fabs)(x)
#define FREXP(x, e) REAL_FN(frexp)(x, e)
#ifdef REAL_IS_DOUBLE
#define MUL(a, b) __dmul_rn(a, b)
#else
#define MUL(a, b) __fmul_rn(a, b)
#endif
#define NO_CONTRACTION
#define UNROLL _Pragma("unroll")
#define PRAGMA(x) _Pragma(#x)
#define UNROLL_BY(n) PRAGMA(unroll n)

FN real FMAX(real a, real b) {
    return a != a ? a : b != b ? b : REAL_FN(fmax)(a, b);
}

FN real FMIN(real a, real b) {
    return a != a ? a : b != b ? b : REAL_FN(fmin)(a, b);
}

/* Conversions of halves; an emulator in C++ never sees the assembler and brings functions of these names. */
#ifdef __CUDACC__
FN float f16_value(f16 bits) {
    float v;
    asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(bits));
    return v;
}

FN f16 f16_bits(float v) {
    f16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(v));
    return bits;
}
#endif

FN real ld_f16(const f16* p, i64 i) {
    return (real)f16_value(p[i]);
}

FN void st_f16(f16* p, i64 i, real v) {
    p[i] = f16_bits((float)v);
}

struct __align__(16) real4 {
    real x, y, z, w;
};

FN real4 REAL4(real a, real b, real c, real d) {
    real4 v = {a, b, c, d};
    return v;
}

#ifndef REAL_IS_DOUBLE
FN real4 ld4_f32(const float* p, i64 i) {
    return *(const real4*)(p + i);
}

FN void st4_f32(float* p, i64 i, real4 v) {
    *(real4*)(p + i) = v;
}

struct __align__(8) half_words {
    u16 x, y, z, w;
};

FN real4 ld4_bf16(const u16* p, i64 i) {
    half_words v = *(const half_words*)(p + i);
    return REAL4(FLOAT_OF((u32)v.x << 16), FLOAT_OF((u32)v.y << 16), FLOAT_OF((u32)v.z << 16), FLOAT_OF((u32)v.w << 16));
}

FN real4 ld4_f16(const f16* p, i64 i) {
    half_words v = *(const half_words*)(p + i);
    return REAL4(ld_f16(&v.x, 0), ld_f16(&v.y, 0), ld_f16(&v.z, 0), ld_f16(&v.w, 0));
}
#endif

/* Shuffles within warps, then over the warps' results; the order depends on nothing but the size of the group. */
FN real GROUP_SUM(real v, real* scratch) {
    for (int apart = (GROUP < 32 ? GROUP : 32) / 2; apart > 0; apart /= 2) {
        v += __shfl_xor_sync(GROUP < 32 ? (1u << (GROUP % 32)) - 1 : 0xffffffffu, v, apart);
    }
    if (LID % 32 == 0) {
        scratch[LID / 32] = v;
    }
    __syncthreads();
    real sum = scratch[0];
    for (int w = 1; w < (GROUP + 31) / 32; w++) {
        sum += scratch[w];
    }
    __syncthreads();
    return sum;
}

FN real GROUP_MAX(real v, real* scratch) {
    for (int apart = (GROUP < 32 ? GROUP : 32) / 2; apart > 0; apart /= 2) {
        v = FMAX(v, __shfl_xor_sync(GROUP < 32 ? (1u << (GROUP % 32)) - 1 : 0xffffffffu, v, apart));
    }
    if (LID % 32 == 0) {
        scratch[LID / 32] = v;
    }
    __syncthreads();
    real largest = scratch[0];
    for (int w = 1; w < (GROUP + 31) / 32; w++) {
        largest = FMAX(largest, scratch[w]);
    }
    __syncthreads();
    return largest;
}

