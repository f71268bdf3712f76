// Kernels of the probe (dev.jotune.jmh.gpu.Probe): each settles one question about driver and tools. pack.sh compiles them with nvcc.

extern "C" __global__ void add_one(float* x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        x[i] += 1.0f;
    }
}

// Six arguments, as many as a usual kernel has; what a launch costs by itself.
extern "C" __global__ void nothing(float* a, float* b, float* c, long long n, int m, float s) {
    if (n < 0) {
        a[0] = b[0] + c[0] * s + (float) m;
    }
}

// Writes one element behind its buffer: a checker must say so.
extern "C" __global__ void out_of_bounds(float* x, int n) {
    x[threadIdx.x == 0 ? n : threadIdx.x] = 1.0f;
}

// Without a barrier between writing and reading: a checker must say so.
extern "C" __global__ void race(float* x) {
    __shared__ float s[64];
    s[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = s[63 - threadIdx.x];
}

#if __CUDA_ARCH__ >= 900
// More shared memory than 48 KB without asking the driver for it.
extern "C" __global__ void static_shared(float* out) {
    __shared__ float s[16 * 1024];
    for (int i = threadIdx.x; i < 16 * 1024; i += blockDim.x) {
        s[i] = (float) i;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        out[blockIdx.x] = s[16 * 1024 - 1];
    }
}

// Clusters of two by the kernel's own text: each group writes its rank.
extern "C" __global__ void __cluster_dims__(2, 1, 1) cluster_ranks(int* out) {
    unsigned rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    if (threadIdx.x == 0) {
        out[blockIdx.x] = (int) rank;
    }
}

struct alignas(64) Map {
    unsigned char bytes[128];
};

// One box of 8 x 32 floats through the copy engine.
extern "C" __global__ void tma_box(const __grid_constant__ Map map, float* out, int x, int y) {
    __shared__ alignas(128) float box[8 * 32];
    __shared__ alignas(8) unsigned long long bar;
    unsigned b = (unsigned) __cvta_generic_to_shared(&bar);
    unsigned d = (unsigned) __cvta_generic_to_shared(box);
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(b) : "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(b), "r"(8 * 32 * 4) : "memory");
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(d), "l"(&map),
                     "r"(x), "r"(y), "r"(b)
                     : "memory");
    }
    __syncthreads();
    unsigned done = 0;
    while (!done) {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(b) : "memory");
    }
    out[threadIdx.x] = box[threadIdx.x];
}
#endif
