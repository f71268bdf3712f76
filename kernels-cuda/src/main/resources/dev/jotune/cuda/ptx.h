/*
 * What CUDA has beyond the dialect of the portable kernels, each word one instruction of PTX or a few. Inline PTX stands here and in
 * the prelude, nowhere else: an emulator gives the same names a meaning in C++ and never sees what stands between #ifdef and #endif.
 * Names in capitals are macros, because they take constants. Sections are those of the PTX ISA by their titles.
 *
 * From 8.0 on: asynchronous copies of 16 bytes, ldmatrix, mma.sync. From 9.0 on: mbarrier, bulk copies of boxes (TMA), clusters.
 * On 9.0 alone, compiled as sm_90a: wgmma, setmaxnreg.
 */
#ifdef __CUDACC__
/* Bytes of dynamic shared memory, where a swizzled box may begin. */
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

FN u32 smem(const void* p) {
    return (u32)__cvta_generic_to_shared(p);
}

/* Roundings: "Data Movement and Conversion Instructions: cvt"; "Floating Point Instructions: ex2". */
FN u32 pack_bf16(float lo, float hi) {
    u32 d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
    return d;
}

FN u32 pack_f16(float lo, float hi) {
    u32 d;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
    return d;
}

/* To nearest, ties away from zero: the only way down to TF32. */
FN u32 to_tf32(float x) {
    u32 d;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(d) : "f"(x));
    return d;
}

FN float exp2_fast(float x) {
    float d;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(d) : "f"(x));
    return d;
}

/* "Data Movement and Conversion Instructions: Asynchronous copy". Of 16 bytes the first are copied, the rest are zeros. */
FN void cp_async16(void* shared, const void* global, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem(shared)), "l"(global), "r"(bytes) : "memory");
}

/* One number of four bytes, or a zero. */
FN void cp_async4(void* shared, const void* global, int bytes) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(smem(shared)), "l"(global), "r"(bytes) : "memory");
}

FN void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most n of this item's groups are on their way. */
#define CP_ASYNC_WAIT(n) asm volatile("cp.async.wait_group %0;" ::"n"(n) : "memory")

/* "Warp Level Matrix Instructions: ldmatrix": item 8 i + r of the warp says where row r of the i-th 8 x 8 matrix of halves lies. */
FN void ldmatrix_x4(u32* r, const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(smem(row)) : "memory");
}

FN void ldmatrix_x4_trans(u32* r, const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(smem(row)) : "memory");
}

FN void ldmatrix_x2(u32* r, const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(smem(row)) : "memory");
}

FN void ldmatrix_x2_trans(u32* r, const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(smem(row)) : "memory");
}

/*
 * "Warp Level Matrix Instructions: mma.m16n8k16, mma.m16n8k8": d[16, 8] += a[16, k] b[k, 8]. With g = lane / 4 and t = lane % 4,
 * d holds (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1); of halves, two a register, a holds (g, 2t) (g + 8, 2t) (g, 2t + 8)
 * (g + 8, 2t + 8), b (2t, g) (2t + 8, g); of TF32 a holds (g, t) (g + 8, t) (g, t + 4) (g + 8, t + 4), b (t, g) (t + 4, g).
 */
FN void mma_bf16(float* d, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

FN void mma_f16(float* d, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

FN void mma_tf32(float* d, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* "Parallel Synchronization and Communication Instructions: bar": so many items, a multiple of 32, of those that name this barrier. */
#define BAR_SYNC(id, items) asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(items) : "memory")
#define BAR_ARRIVE(id, items) asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(items) : "memory")

/* A box of a tensor in device memory, as the driver encodes it. */
struct __align__(64) tensor_map {
    u64 opaque[16];
};

#if __CUDA_ARCH__ >= 900
/* "Parallel Synchronization and Communication Instructions: mbarrier". A phase ends when all arrived and all expected bytes came. */
FN void mbar_init(u64* bar, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem(bar)), "r"(count) : "memory");
}

/* Arrives too. */
FN void mbar_expect_tx(u64* bar, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(smem(bar)), "r"(bytes) : "memory");
}

FN void mbar_arrive(u64* bar) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(smem(bar)) : "memory");
}

/* Returns when the phase of this parity is complete; the phase before the first has parity 1. */
FN void mbar_wait(u64* bar, u32 parity) {
    u32 done;
    do {
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done) : "r"(smem(bar)), "r"(parity) : "memory");
    } while (done == 0);
}

/* After mbar_init, before anyone else, the copying unit included, uses the barrier; a barrier of the group or cluster follows. */
FN void fence_barrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}

/* "membar / fence": between ordinary accesses to shared memory and those of TMA and wgmma, on the side of the ordinary ones. */
FN void fence_proxy_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* "Data Movement and Conversion Instructions: cp.async.bulk.tensor". x counts elements along the innermost axis, y rows, and so on. */
FN void tma_load_2d(void* shared, const tensor_map* map, u64* bar, int x, int y) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
                 ::"r"(smem(shared)), "l"(map), "r"(smem(bar)), "r"(x), "r"(y) : "memory");
}

FN void tma_load_3d(void* shared, const tensor_map* map, u64* bar, int x, int y, int z) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];"
                 ::"r"(smem(shared)), "l"(map), "r"(smem(bar)), "r"(x), "r"(y), "r"(z) : "memory");
}

FN void tma_load_4d(void* shared, const tensor_map* map, u64* bar, int x, int y, int z, int w) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];"
                 ::"r"(smem(shared)), "l"(map), "r"(smem(bar)), "r"(x), "r"(y), "r"(z), "r"(w) : "memory");
}

/* To the same place in the shared memory of every group of the cluster whose bit is set, and to its barrier at the same place. */
FN void tma_load_2d_multicast(void* shared, const tensor_map* map, u64* bar, int x, int y, u16 mask) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;"
                 ::"r"(smem(shared)), "l"(map), "r"(smem(bar)), "r"(x), "r"(y), "h"(mask) : "memory");
}

FN void tma_load_3d_multicast(void* shared, const tensor_map* map, u64* bar, int x, int y, int z, u16 mask) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
                 "[%0], [%1, {%3, %4, %5}], [%2], %6;"
                 ::"r"(smem(shared)), "l"(map), "r"(smem(bar)), "r"(x), "r"(y), "r"(z), "h"(mask) : "memory");
}

FN void tma_store_2d(const tensor_map* map, const void* shared, int x, int y) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];"
                 ::"l"(map), "r"(smem(shared)), "r"(x), "r"(y) : "memory");
}

FN void tma_store_3d(const tensor_map* map, const void* shared, int x, int y, int z) {
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];"
                 ::"l"(map), "r"(smem(shared)), "r"(x), "r"(y), "r"(z) : "memory");
}

/* "cp.reduce.async.bulk.tensor": adds; the sum depends on no order where each element gets one addition. */
FN void tma_reduce_add_2d(const tensor_map* map, const void* shared, int x, int y) {
    asm volatile("cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.bulk_group [%0, {%2, %3}], [%1];"
                 ::"l"(map), "r"(smem(shared)), "r"(x), "r"(y) : "memory");
}

FN void tma_reduce_add_3d(const tensor_map* map, const void* shared, int x, int y, int z) {
    asm volatile("cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.bulk_group [%0, {%2, %3, %4}], [%1];"
                 ::"l"(map), "r"(smem(shared)), "r"(x), "r"(y), "r"(z) : "memory");
}

FN void tma_store_commit() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* Until of all but this item's last n groups of stores shared memory was read, so that it can be written again. */
#define TMA_STORE_WAIT(n) asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(n) : "memory")

FN void tma_prefetch(const tensor_map* map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/* Clusters: "Special Registers: %cluster_ctarank", "barrier.cluster", "mapa". */
FN u32 cluster_rank() {
    u32 r;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return r;
}

#define CLUSTER_SYNC() \
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory")

/* Arrives at the barrier that lies at this place in another group's shared memory. */
FN void mbar_arrive_remote(u64* bar, u32 cta) {
    asm volatile("{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
                 "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(smem(bar)), "r"(cta) : "memory");
}
#endif

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
/* "Miscellaneous Instructions: setmaxnreg", by all warps of a warp group. */
#define SETMAXNREG_INC(n) asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n))
#define SETMAXNREG_DEC(n) asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n))

/*
 * "Asynchronous Warpgroup Level Matrix Instructions". A matrix in shared memory is described by its place and two strides in bytes.
 * Swizzled by 128 and contiguous along k (K-major): rows of 64 halves; stride: from 8 rows to the next 8, leading: unused. Contiguous
 * along m or n (MN-major, _at and _bt): rows of 64 halves, one for each k; stride: from 8 k to the next 8, leading: from 64 m or n
 * to the next 64. Boxes of TMA with the same swizzle have this form; they begin at multiples of 1024 bytes.
 */
FN u64 wgmma_desc(const void* shared, u32 leading, u32 stride, u32 swizzle) {
    u64 kind = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;
    return (u64)((smem(shared) & 0x3ffffu) >> 4) | (u64)(leading >> 4) << 16 | (u64)(stride >> 4) << 32 | kind << 62;
}

FN void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

FN void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

#define WGMMA_WAIT(n) asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(n) : "memory")

/* Ties n accumulators to this place of the text: the compiler moves no use of them from behind a wait to before it. */
#define WGMMA_HOLD(d, n) \
    UNROLL \
    for (int held = 0; held < (n); held++) { \
        asm volatile("" : "+f"((d)[held])::"memory"); \
    }

/* Lists of operands. */
#define REGS_32 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, " \
    "%28, %29, %30, %31"
#define REGS_64 REGS_32 \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, " \
    "%58, %59, %60, %61, %62, %63"
#define REGS_96 REGS_64 \
    ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, " \
    "%90, %91, %92, %93, %94, %95"
#define REGS_128 REGS_96 \
    ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, " \
    "%118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define ACC_8(i) \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define ACC_32_AT(i) ACC_8(i), ACC_8(i + 8), ACC_8(i + 16), ACC_8(i + 24)
/* With parentheses, so that they are arguments of other macros by name. */
#define ACC_32() ACC_32_AT(0)
#define ACC_64() ACC_32(), ACC_32_AT(32)
#define ACC_96() ACC_64(), ACC_32_AT(64)
#define ACC_128() ACC_96(), ACC_32_AT(96)

/*
 * d[64, n] (+)= a[64, 16] b[16, n] by the 128 items of a warp group; without accumulate d is overwritten. Warp w holds rows 16 w to
 * 16 w + 15, as in mma: d[4 j] to d[4 j + 3] are those of columns 8 j to 8 j + 7. at, bt: 1 where a, b are MN-major.
 */
#define WGMMA_SHARED(name, n, type, regs, acc, a_place, b_place, p_place, at, bt) \
    FN void name(float* d, u64 a, u64 b, int accumulate) { \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p_place ", 0;\nwgmma.mma_async.sync.aligned.m64n" n "k16.f32." type "." type \
                     " {" regs "}, " a_place ", " b_place ", p, 1, 1, " at ", " bt ";\n}" \
                     : acc() : "l"(a), "l"(b), "r"(accumulate)); \
    }
/* The same with a in registers, as mma has it. */
#define WGMMA_REGISTERS(name, n, type, regs, acc, a_places, b_place, p_place, bt) \
    FN void name(float* d, const u32* a, u64 b, int accumulate) { \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p_place ", 0;\nwgmma.mma_async.sync.aligned.m64n" n "k16.f32." type "." type \
                     " {" regs "}, {" a_places "}, " b_place ", p, 1, 1, " bt ";\n}" \
                     : acc() : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate)); \
    }
#define WGMMA_ALL(name, type, width, n, regs, acc, p0, p1, p2, p3, p4, p5) \
    WGMMA_SHARED(wgmma_##name##_64x##width, n, type, regs, acc, p0, p1, p2, "0", "0") \
    WGMMA_SHARED(wgmma_##name##_64x##width##_bt, n, type, regs, acc, p0, p1, p2, "0", "1") \
    WGMMA_SHARED(wgmma_##name##_64x##width##_at, n, type, regs, acc, p0, p1, p2, "1", "0") \
    WGMMA_SHARED(wgmma_##name##_64x##width##_at_bt, n, type, regs, acc, p0, p1, p2, "1", "1") \
    WGMMA_REGISTERS(wgmma_##name##_ra_64x##width, n, type, regs, acc, p0 ", " p1 ", " p2 ", " p3, p4, p5, "0") \
    WGMMA_REGISTERS(wgmma_##name##_ra_64x##width##_bt, n, type, regs, acc, p0 ", " p1 ", " p2 ", " p3, p4, p5, "1")
#define WGMMA_WIDTHS(name, type) \
    WGMMA_ALL(name, type, 64, "64", REGS_32, ACC_32, "%32", "%33", "%34", "%35", "%36", "%37") \
    WGMMA_ALL(name, type, 128, "128", REGS_64, ACC_64, "%64", "%65", "%66", "%67", "%68", "%69") \
    WGMMA_ALL(name, type, 192, "192", REGS_96, ACC_96, "%96", "%97", "%98", "%99", "%100", "%101") \
    WGMMA_ALL(name, type, 256, "256", REGS_128, ACC_128, "%128", "%129", "%130", "%131", "%132", "%133")
WGMMA_WIDTHS(bf16, "bf16")
WGMMA_WIDTHS(f16, "f16")

/*
 * d[64, n] (+)= a[64, 8] b[8, n] of TF32. Both operands are K-major: instructions for types of more or less than 16 bits know no other way.
 * Rows of 32 numbers where halves have 64. The unit reads 19 bits of a number; that the others were rounded away is up to whoever wrote it.
 */
#define WGMMA_SHARED_TF32(width, n, regs, acc, a_place, b_place, p_place) \
    FN void wgmma_tf32_64x##width(float* d, u64 a, u64 b, int accumulate) { \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " p_place ", 0;\nwgmma.mma_async.sync.aligned.m64n" n "k8.f32.tf32.tf32" \
                     " {" regs "}, " a_place ", " b_place ", p, 1, 1;\n}" \
                     : acc() : "l"(a), "l"(b), "r"(accumulate)); \
    }
WGMMA_SHARED_TF32(64, "64", REGS_32, ACC_32, "%32", "%33", "%34")
WGMMA_SHARED_TF32(128, "128", REGS_64, ACC_64, "%64", "%65", "%66")
WGMMA_SHARED_TF32(192, "192", REGS_96, ACC_96, "%96", "%97", "%98")
WGMMA_SHARED_TF32(256, "256", REGS_128, ACC_128, "%128", "%129", "%130")
#endif
#endif
