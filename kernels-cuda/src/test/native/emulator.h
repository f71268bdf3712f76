/*
 * The meaning, on a CPU, of what CUDA texts say: g++ gets this file before the text (-include). Words of CUDA are here, and those of
 * ptx.h, which shows them to CUDA's own compiler alone; what each does lies in the runtime, the fake libcuda.so.1 beside this file.
 *
 * A kernel's text is not changed. Behind it stands EMULATED_KERNEL(name, group), by which the runtime finds it. From Java: class Emulator
 * compiles and launches a text; or the whole host code runs on the fake libraries, see FakeCuda. Without Java, for example for a sanitizer,
 * with emulator.h and a line EMULATED_KERNEL(name, group) at the end of kernel.cu:
 *
 *     g++ -std=gnu++17 -g -O1 -w -fsanitize=address -include emulator.h -c -x c++ kernel.cu
 *     g++ -std=c++17 -g -O1 -fno-strict-aliasing -fsanitize=address main.cpp *.cpp kernel.o -ldl -lpthread
 *
 * where main.cpp includes runtime.h, declares extern "C" const emulated_kernel emulated_NAME, and calls emulated_configure and
 * emulated_launch below; ASAN_OPTIONS=detect_leaks=0.
 *
 * Not modelled: memory order, bank conflicts, registers, time, and casts of numbers that do not fit (CUDA saturates).
 */
#ifndef EMULATOR_H
#define EMULATOR_H

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#ifndef RUNTIME_H
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __constant__ static const
#define __align__(n) __attribute__((aligned(n)))
#define __ldg(p) (*(p))
/* All shared memory of fixed size lies in one section, so that it can be filled with NaNs, and exchanged between groups of a cluster. */
#define __shared__ static __attribute__((section("emulated_shared")))
#endif

struct emulated_place {
    unsigned x, y, z;
};

/* What the runtime needs to know of a kernel. */
struct emulated_kernel {
    void (*run)(void** arguments);
    const unsigned* sizes;
    unsigned count, group, architecture;
    char *shared, *shared_end;
};

/* A launch's sizes: groups, groups of a cluster along x, items of a group. Returns 0, or a CUresult; then emulated_report() says why. */
extern "C" int emulated_launch(const emulated_kernel* kernel, emulated_place grid, unsigned cluster, emulated_place threads, unsigned shared,
                               void** arguments);
extern "C" const char* emulated_report();
/* "schedule=forward|reverse|random|greedy|greedy-reverse async=lazy|eager|random seed=1 capability=90 memory=BYTES loud=yes|no
   fault=now|late units=4 idle=yes|no", or some of it. */
extern "C" int emulated_configure(const char* settings);

/* Set at each change of items. */
extern "C" emulated_place threadIdx, blockIdx, gridDim, blockDim;

/* Default arguments take the caller's line. */
#define AT_LINE int line = __builtin_LINE()

extern "C" {
/* CUDA. A line identifies a barrier, since compilers copy code. */
void emulated_barrier(int line);
void emulated_syncwarp(u32 mask, int line);
u64 emulated_shuffle(int kind, u32 mask, u64 bits, int argument, int width, int line);
u32 emulated_vote(u32 mask, int predicate, int line);
unsigned char* emulated_dynamic_shared();

/* Conversions of halves, for the prelude and for packing. */
float f16_value(u16 bits);
u16 f16_bits(float value);
u32 pack_bf16(float lo, float hi);
u32 pack_f16(float lo, float hi);
u32 to_tf32(float x);
float exp2_fast(float x);

/* The words of ptx.h. */
u32 smem(const void* p, AT_LINE);
void cp_async16(void* shared, const void* global, int bytes, AT_LINE);
void cp_async4(void* shared, const void* global, int bytes, AT_LINE);
void cp_async_commit();
void emulated_cp_async_wait(int pending);
void ldmatrix_x4(u32* r, const void* row, AT_LINE);
void ldmatrix_x4_trans(u32* r, const void* row, AT_LINE);
void ldmatrix_x2(u32* r, const void* row, AT_LINE);
void ldmatrix_x2_trans(u32* r, const void* row, AT_LINE);
void mma_bf16(float* d, const u32* a, const u32* b, AT_LINE);
void mma_f16(float* d, const u32* a, const u32* b, AT_LINE);
void mma_tf32(float* d, const u32* a, const u32* b, AT_LINE);
void emulated_named_barrier(int id, int items, int waits, int line);
void mbar_init(u64* bar, u32 count, AT_LINE);
void mbar_expect_tx(u64* bar, u32 bytes, AT_LINE);
void mbar_arrive(u64* bar, AT_LINE);
void mbar_arrive_remote(u64* bar, u32 cta, AT_LINE);
void mbar_wait(u64* bar, u32 parity, AT_LINE);
void fence_barrier_init();
void fence_proxy_async();
u32 cluster_rank();
void emulated_cluster_sync(int line);
void emulated_tma_store_wait(int pending);
void tma_store_commit();
u64 wgmma_desc(const void* shared, u32 leading, u32 stride, u32 swizzle, AT_LINE);
void wgmma_fence(AT_LINE);
void wgmma_commit(AT_LINE);
void emulated_wgmma_wait(int pending, int line);
void emulated_registers(int n, int line);
void emulated_wgmma(float* d, const u32* a_registers, u64 a, u64 b, int accumulate, int columns, int kind, int line);
}

struct alignas(64) tensor_map {
    u64 opaque[16];
};

extern "C" {
/* Coordinates in x, y, z, w order; mask 0: to this group alone. */
void emulated_tma_load(void* shared, const tensor_map* map, u64* bar, int rank, const int* at, u32 mask, int line);
void emulated_tma_store(const tensor_map* map, const void* shared, int rank, const int* at, int adds, int line);
}

#define __syncthreads() emulated_barrier(__LINE__)
#define DYNAMIC_SHARED(name) unsigned char* const name = emulated_dynamic_shared()
#define CP_ASYNC_WAIT(n) emulated_cp_async_wait(n)
#define BAR_SYNC(id, items) emulated_named_barrier(id, items, 1, __LINE__)
#define BAR_ARRIVE(id, items) emulated_named_barrier(id, items, 0, __LINE__)
#define CLUSTER_SYNC() emulated_cluster_sync(__LINE__)
#define TMA_STORE_WAIT(n) emulated_tma_store_wait(n)
#define WGMMA_WAIT(n) emulated_wgmma_wait(n, __LINE__)
#define SETMAXNREG_INC(n) emulated_registers(n, __LINE__)
#define SETMAXNREG_DEC(n) emulated_registers(n, __LINE__)
/* This speaks to the compiler alone. */
#define WGMMA_HOLD(d, n)

inline void __syncwarp(u32 mask = 0xffffffffu, AT_LINE) {
    emulated_syncwarp(mask, line);
}

/* Kinds: 0 from a lane, 1 exclusive or, 2 up, 3 down. */
template <class T> inline T emulated_shuffle_of(int kind, u32 mask, T v, int argument, int width, int line) {
    u64 bits = 0;
    __builtin_memcpy(&bits, &v, sizeof v);
    bits = emulated_shuffle(kind, mask, bits, argument, width, line);
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}

template <class T> inline T __shfl_sync(u32 mask, T v, int lane, int width = 32, AT_LINE) {
    return emulated_shuffle_of(0, mask, v, lane, width, line);
}

template <class T> inline T __shfl_xor_sync(u32 mask, T v, int apart, int width = 32, AT_LINE) {
    return emulated_shuffle_of(1, mask, v, apart, width, line);
}

template <class T> inline T __shfl_up_sync(u32 mask, T v, u32 apart, int width = 32, AT_LINE) {
    return emulated_shuffle_of(2, mask, v, (int)apart, width, line);
}

template <class T> inline T __shfl_down_sync(u32 mask, T v, u32 apart, int width = 32, AT_LINE) {
    return emulated_shuffle_of(3, mask, v, (int)apart, width, line);
}

inline u32 __ballot_sync(u32 mask, int predicate, AT_LINE) {
    return emulated_vote(mask, predicate, line);
}

inline int __any_sync(u32 mask, int predicate, AT_LINE) {
    return emulated_vote(mask, predicate, line) != 0;
}

inline int __all_sync(u32 mask, int predicate, AT_LINE) {
    return (emulated_vote(mask, predicate, line) & mask) == mask;
}

inline int __float_as_int(float x) {
    int bits;
    __builtin_memcpy(&bits, &x, 4);
    return bits;
}

inline float __int_as_float(int bits) {
    float x;
    __builtin_memcpy(&x, &bits, 4);
    return x;
}

/* Products that no compiler joins with a sum: it does not see through the empty statement. */
inline float __fmul_rn(float a, float b) {
    float p = a * b;
    asm("" : "+m"(p));
    return p;
}

inline double __dmul_rn(double a, double b) {
    double p = a * b;
    asm("" : "+m"(p));
    return p;
}

#ifndef RUNTIME_H
#define EMULATED_MATH_1(name) extern "C" double name(double); extern "C" float name##f(float);
#define EMULATED_MATH_2(name) extern "C" double name(double, double); extern "C" float name##f(float, float);
EMULATED_MATH_1(exp) EMULATED_MATH_1(exp2) EMULATED_MATH_1(expm1) EMULATED_MATH_1(log) EMULATED_MATH_1(log2) EMULATED_MATH_1(log1p)
EMULATED_MATH_1(sqrt) EMULATED_MATH_1(tanh) EMULATED_MATH_1(erf) EMULATED_MATH_1(sin) EMULATED_MATH_1(cos) EMULATED_MATH_1(floor)
EMULATED_MATH_1(ceil) EMULATED_MATH_1(rint) EMULATED_MATH_1(fabs) EMULATED_MATH_2(pow) EMULATED_MATH_2(fmax) EMULATED_MATH_2(fmin)
extern "C" double fma(double, double, double);
extern "C" float fmaf(float, float, float);
extern "C" double frexp(double, int*);
extern "C" float frexpf(float, int*);
#endif

inline float rsqrtf(float x) {
    return 1.0f / __builtin_sqrtf(x);
}

inline double rsqrt(double x) {
    return 1.0 / __builtin_sqrt(x);
}

inline double __fma_rn(double a, double b, double c) {
    return __builtin_fma(a, b, c);
}

inline void tma_prefetch(const tensor_map*) {}

inline void tma_load_2d(void* shared, const tensor_map* map, u64* bar, int x, int y, AT_LINE) {
    int at[] = {x, y};
    emulated_tma_load(shared, map, bar, 2, at, 0, line);
}

inline void tma_load_3d(void* shared, const tensor_map* map, u64* bar, int x, int y, int z, AT_LINE) {
    int at[] = {x, y, z};
    emulated_tma_load(shared, map, bar, 3, at, 0, line);
}

inline void tma_load_4d(void* shared, const tensor_map* map, u64* bar, int x, int y, int z, int w, AT_LINE) {
    int at[] = {x, y, z, w};
    emulated_tma_load(shared, map, bar, 4, at, 0, line);
}

inline void tma_load_2d_multicast(void* shared, const tensor_map* map, u64* bar, int x, int y, u16 mask, AT_LINE) {
    int at[] = {x, y};
    emulated_tma_load(shared, map, bar, 2, at, mask, line);
}

inline void tma_load_3d_multicast(void* shared, const tensor_map* map, u64* bar, int x, int y, int z, u16 mask, AT_LINE) {
    int at[] = {x, y, z};
    emulated_tma_load(shared, map, bar, 3, at, mask, line);
}

inline void tma_store_2d(const tensor_map* map, const void* shared, int x, int y, AT_LINE) {
    int at[] = {x, y};
    emulated_tma_store(map, shared, 2, at, 0, line);
}

inline void tma_store_3d(const tensor_map* map, const void* shared, int x, int y, int z, AT_LINE) {
    int at[] = {x, y, z};
    emulated_tma_store(map, shared, 3, at, 0, line);
}

inline void tma_reduce_add_2d(const tensor_map* map, const void* shared, int x, int y, AT_LINE) {
    int at[] = {x, y};
    emulated_tma_store(map, shared, 2, at, 1, line);
}

inline void tma_reduce_add_3d(const tensor_map* map, const void* shared, int x, int y, int z, AT_LINE) {
    int at[] = {x, y, z};
    emulated_tma_store(map, shared, 3, at, 1, line);
}

/* Kinds of wgmma, a sum of bits. */
#define EMULATED_F16 1
#define EMULATED_A_ACROSS 2
#define EMULATED_B_ACROSS 4
#define EMULATED_TF32 8
#define EMULATED_SHARED(name, columns, kind) \
    inline void name(float* d, u64 a, u64 b, int accumulate, AT_LINE) { \
        emulated_wgmma(d, 0, a, b, accumulate, columns, kind, line); \
    }
#define EMULATED_REGISTERS(name, columns, kind) \
    inline void name(float* d, const u32* a, u64 b, int accumulate, AT_LINE) { \
        emulated_wgmma(d, a, 0, b, accumulate, columns, kind, line); \
    }
#define EMULATED_WIDTH(type, columns, kind) \
    EMULATED_SHARED(wgmma_##type##_64x##columns, columns, kind) \
    EMULATED_SHARED(wgmma_##type##_64x##columns##_bt, columns, kind | EMULATED_B_ACROSS) \
    EMULATED_SHARED(wgmma_##type##_64x##columns##_at, columns, kind | EMULATED_A_ACROSS) \
    EMULATED_SHARED(wgmma_##type##_64x##columns##_at_bt, columns, kind | EMULATED_A_ACROSS | EMULATED_B_ACROSS) \
    EMULATED_REGISTERS(wgmma_##type##_ra_64x##columns, columns, kind) \
    EMULATED_REGISTERS(wgmma_##type##_ra_64x##columns##_bt, columns, kind | EMULATED_B_ACROSS)
EMULATED_WIDTH(bf16, 64, 0) EMULATED_WIDTH(bf16, 128, 0) EMULATED_WIDTH(bf16, 192, 0) EMULATED_WIDTH(bf16, 256, 0)
EMULATED_WIDTH(f16, 64, 1) EMULATED_WIDTH(f16, 128, 1) EMULATED_WIDTH(f16, 192, 1) EMULATED_WIDTH(f16, 256, 1)
EMULATED_SHARED(wgmma_tf32_64x64, 64, EMULATED_TF32) EMULATED_SHARED(wgmma_tf32_64x128, 128, EMULATED_TF32)
EMULATED_SHARED(wgmma_tf32_64x192, 192, EMULATED_TF32) EMULATED_SHARED(wgmma_tf32_64x256, 256, EMULATED_TF32)

/* Arguments come as the driver gets them, an address for each. */
template <int... I> struct emulated_numbers {};

template <class F> struct emulated_signature;

template <class... P> struct emulated_signature<void(P...)> {
    static constexpr unsigned count = sizeof...(P);
    static constexpr unsigned sizes[] = {sizeof(P)..., 0};

    template <class T> static T read(const void* p) {
        T v;
        __builtin_memcpy(&v, p, sizeof v);
        return v;
    }

    template <int... I> static void call(void (*kernel)(P...), void** arguments, emulated_numbers<I...>) {
        kernel(read<P>(arguments[I])...);
    }

    template <void (*kernel)(P...)> static void run(void** arguments) {
        call(kernel, arguments, emulated_numbers<__integer_pack(sizeof...(P))...>());
    }
};

extern "C" char __start_emulated_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_emulated_shared[] __attribute__((weak, visibility("hidden")));

#ifndef EMULATED_ARCHITECTURE
#define EMULATED_ARCHITECTURE 90
#endif
#define EMULATED_KERNEL(name, group) \
    extern "C" const emulated_kernel emulated_##name; \
    const emulated_kernel emulated_##name = {emulated_signature<decltype(name)>::run<name>, emulated_signature<decltype(name)>::sizes, \
            emulated_signature<decltype(name)>::count, group, EMULATED_ARCHITECTURE, __start_emulated_shared, __stop_emulated_shared};
#endif
