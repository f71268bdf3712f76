/*
 * What kernels of rows with adapters of their own share: the plan, in which adapters' factors lie where they lie and have ranks of their
 * own. Of each adapter it has eight numbers, then those that a kernel walks by.
 *
 * DOWN, UP  types of A and B: 0: F32, 1: BF16, 2: F16
 */
#define PLAN 8
#define DOWN_AT(g) plan[(g) * PLAN]
#define DOWN_ROW(g) plan[(g) * PLAN + 1]
#define DOWN_INNER(g) plan[(g) * PLAN + 2]
#define UP_AT(g) plan[(g) * PLAN + 3]
#define UP_ROW(g) plan[(g) * PLAN + 4]
#define UP_INNER(g) plan[(g) * PLAN + 5]
#define RANK(g) ((int)plan[(g) * PLAN + 6])
#define SCALE(g) FLOAT_OF((u32)plan[(g) * PLAN + 7])

#if DOWN == 0
typedef const float* downs;
#define LD_DOWN ld_f32
#define LD4_DOWN ld4_f32
#elif DOWN == 1
typedef const u16* downs;
#define LD_DOWN ld_bf16
#define LD4_DOWN ld4_bf16
#else
typedef const f16* downs;
#define LD_DOWN ld_f16
#define LD4_DOWN ld4_f16
#endif
#if UP == 0
typedef const float* ups;
#define LD_UP ld_f32
#define LD4_UP ld4_f32
#elif UP == 1
typedef const u16* ups;
#define LD_UP ld_bf16
#define LD4_UP ld4_bf16
#else
typedef const f16* ups;
#define LD_UP ld_f16
#define LD4_UP ld4_f16
#endif

