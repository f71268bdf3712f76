/* OpenCL C 1.2: what the words of the kernels' dialect mean. */
#ifdef HAS_DOUBLE
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
typedef long i64;
typedef ulong u64;
typedef uint u32;
typedef ushort u16;
typedef uchar u8;
typedef char i8;
typedef half f16;
#ifdef REAL_IS_DOUBLE
typedef double real;
#define R(x) x
#else
typedef float real;
#define R(x) x##f
#endif
/* Forced: PoCL 3.1 crashes on a function that is not inlined and is given private arrays. */
#define FN static __attribute__((always_inline))
#define GLB __global
#define SHM __local
#define SHP __local
#define KERNEL_HEAD __kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void
#define LID ((int)get_local_id(0))
#define BIDX ((int)get_group_id(0))
#define BIDY ((int)get_group_id(1))
#define BIDZ ((int)get_group_id(2))
#define GRIDX ((int)get_num_groups(0))
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define POS_INF ((real)INFINITY)
#define NEG_INF ((real)-INFINITY)
#define NOT_A_NUMBER ((real)NAN)
#define FMA(a, b, c) fma(a, b, c)
#define EXP(x) exp((real)(x))
#define LOG(x) log((real)(x))
#define LOG1P(x) log1p((real)(x))
#define SQRT(x) sqrt((real)(x))
#define RSQRT(x) (R(1.0) / sqrt((real)(x)))
#define TANH(x) tanh((real)(x))
#define ERF(x) erf((real)(x))
#define SIN(x) sin((real)(x))
#define COS(x) cos((real)(x))
#define POW(x, y) pow((real)(x), (real)(y))
#define FLOOR(x) floor((real)(x))
#define FABS(x) fabs((real)(x))
#define FREXP(x, e) frexp((real)(x), e)
#define MUL(a, b) ((a) * (b))
#define NO_CONTRACTION _Pragma("OPENCL FP_CONTRACT OFF")
#define BITS_OF(x) as_uint(x)
#define FLOAT_OF(x) as_float(x)
#define UNROLL _Pragma("unroll")
#define PRAGMA(x) _Pragma(#x)
#define UNROLL_BY(n) PRAGMA(unroll n)

FN real FMAX(real a, real b) {
    return a != a ? a : b != b ? b : fmax(a, b);
}

FN real FMIN(real a, real b) {
    return a != a ? a : b != b ? b : fmin(a, b);
}

#ifdef REAL_IS_DOUBLE
typedef double4 real4;
#else
typedef float4 real4;
#endif
#define REAL4(a, b, c, d) ((real4)(a, b, c, d))

#ifndef REAL_IS_DOUBLE
FN real4 ld4_f32(GLB const float* p, i64 i) {
    return *(GLB const float4*)(p + i);
}

FN void st4_f32(GLB float* p, i64 i, real4 v) {
    *(GLB float4*)(p + i) = v;
}

FN real4 ld4_bf16(GLB const u16* p, i64 i) {
    return as_float4(convert_uint4(*(GLB const ushort4*)(p + i)) << 16);
}

FN real4 ld4_f16(GLB const f16* p, i64 i) {
    return vload_half4((size_t)i / 4, p);
}
#endif

FN real ld_f16(GLB const f16* p, i64 i) {
    return (real)vload_half((size_t)i, p);
}

FN void st_f16(GLB f16* p, i64 i, real v) {
    vstore_half_rte(v, (size_t)i, p);
}

/* A tree in shared memory: the order of the sum depends on nothing but the size of the group. */
FN real GROUP_SUM(real v, SHP real* scratch) {
    scratch[LID] = v;
    BARRIER();
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        if (LID < half_size) {
            scratch[LID] += scratch[LID + half_size];
        }
        BARRIER();
    }
    real sum = scratch[0];
    BARRIER();
    return sum;
}

FN real GROUP_MAX(real v, SHP real* scratch) {
    scratch[LID] = v;
    BARRIER();
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        if (LID < half_size) {
            scratch[LID] = FMAX(scratch[LID], scratch[LID + half_size]);
        }
        BARRIER();
    }
    real largest = scratch[0];
    BARRIER();
    return largest;
}

