/*
 * Tiles of products on compute capability 9.0: a ring of STAGES buffers in shared memory, each of 128 bytes along the inner axis of
 * BM lines of a and BN of b, filled by TMA, multiplied by warp groups of which each holds 64 x BN sums.
 *
 * A buffer's "full" barrier counts bytes, its "empty" barrier the warps that are done with it. Slots and parities go on from tile to
 * tile, the same way on both sides.
 *
 * BM BN STAGES      BM a multiple of 64, BN 128 or 256
 * A_INNER, B_INNER  1: contiguous along the inner axis, 0: across it
 * HALF_F16          1: F16, 0: BF16
 * TF32              1: F32 that its copies round to TF32, both operands along the inner axis; 0 or not said: halves
 * CLUSTER           groups that share a column of tiles: 1, or 2, of which each fetches half of b's lines for both
 */
#define LINE 128
#if TF32
#define BK (LINE / 4)
#else
#define BK (LINE / 2)
#endif
/* Bytes of 64 lines. */
#define BOX (64 * LINE)
#define STAGE ((BM + BN) * LINE)
#define TEAMS (BM / 64)
#define SUMS (BN / 2)
#define SHARE (BN / CLUSTER)

#if A_INNER && B_INNER
#define MULTIPLY_AS(type, n) wgmma_##type##_64x##n
#elif A_INNER
#define MULTIPLY_AS(type, n) wgmma_##type##_64x##n##_bt
#elif B_INNER
#define MULTIPLY_AS(type, n) wgmma_##type##_64x##n##_at
#else
#define MULTIPLY_AS(type, n) wgmma_##type##_64x##n##_at_bt
#endif
#if TF32 && BN == 256
#define MULTIPLY MULTIPLY_AS(tf32, 256)
#elif TF32
#define MULTIPLY MULTIPLY_AS(tf32, 128)
#elif HALF_F16 && BN == 256
#define MULTIPLY MULTIPLY_AS(f16, 256)
#elif HALF_F16
#define MULTIPLY MULTIPLY_AS(f16, 128)
#elif BN == 256
#define MULTIPLY MULTIPLY_AS(bf16, 256)
#else
#define MULTIPLY MULTIPLY_AS(bf16, 128)
#endif

struct ring {
    unsigned char* buffers;
    u64* full;
    u64* empty;
    int rank;
    int slot;
    u32 parity;
};

/* By all items of the group, first of all. The barriers lie at the given place. */
FN void ring_open(ring* r, unsigned char* buffers, void* barriers) {
    r->buffers = buffers;
    r->full = (u64*)barriers;
    r->empty = r->full + STAGES;
    r->slot = 0;
    r->parity = 0;
    if (LID == 0) {
        for (int i = 0; i < STAGES; i++) {
            mbar_init(r->full + i, 1);
            mbar_init(r->empty + i, 4 * TEAMS * CLUSTER);
        }
        fence_barrier_init();
    }
#if CLUSTER > 1
    r->rank = (int)cluster_rank();
    CLUSTER_SYNC();
#else
    r->rank = 0;
    BARRIER();
#endif
}

/* By all items, last of all: nobody leaves while a neighbour still fills its memory or arrives at its barriers. */
FN void ring_close() {
#if CLUSTER > 1
    CLUSTER_SYNC();
#endif
}

FN void ring_next(ring* r) {
    r->slot++;
    if (r->slot == STAGES) {
        r->slot = 0;
        r->parity ^= 1;
    }
}

/* By one item: asks for lines row0.. of a and column0.. of b, BK numbers of the inner axis from k on. */
FN void ring_fetch(ring* r, const tensor_map* a, const tensor_map* b, int k, int row0, int column0, int a_batch, int b_batch) {
    unsigned char* to = r->buffers + r->slot * STAGE;
    u64* full = r->full + r->slot;
    mbar_wait(r->empty + r->slot, r->parity ^ 1);
    mbar_expect_tx(full, STAGE);
    /* Across the inner axis a box has 64 numbers, so an operand comes in several; along it, in one. */
#if A_INNER
    tma_load_3d(to, a, full, k, row0, a_batch);
#else
    UNROLL
    for (int i = 0; i < BM / 64; i++) {
        tma_load_3d(to + i * BOX, a, full, row0 + 64 * i, k, a_batch);
    }
#endif
    int first = r->rank * SHARE;
    to += (BM + first) * LINE;
#if B_INNER && CLUSTER > 1
    tma_load_3d_multicast(to, b, full, k, column0 + first, b_batch, (u16)((1 << CLUSTER) - 1));
#elif B_INNER
    tma_load_3d(to, b, full, k, column0, b_batch);
#else
    UNROLL
    for (int i = 0; i < SHARE / 64; i++) {
#if CLUSTER > 1
        tma_load_3d_multicast(to + i * BOX, b, full, column0 + first + 64 * i, k, b_batch, (u16)((1 << CLUSTER) - 1));
#else
        tma_load_3d(to + i * BOX, b, full, column0 + 64 * i, k, b_batch);
#endif
    }
#endif
    ring_next(r);
}

/* By every warp of the warp groups that multiply. */
FN void ring_give_back(ring* r, int slot) {
#if CLUSTER > 1
    if (LID % 32 < CLUSTER) {
        mbar_arrive_remote(r->empty + slot, LID % 32);
    }
#else
    if (LID % 32 == 0) {
        mbar_arrive(r->empty + slot);
    }
#endif
}

/* By a warp group: its 64 x BN sums over so many buffers, at least one. A product is under way while the buffer before is given back. */
FN void ring_multiply(ring* r, float* sum, int blocks, int team) {
    int last = 0;
    for (int block = 0; block < blocks; block++) {
        const unsigned char* a = r->buffers + r->slot * STAGE + team * BOX;
        const unsigned char* b = r->buffers + r->slot * STAGE + BM * LINE;
        mbar_wait(r->full + r->slot, r->parity);
        WGMMA_HOLD(sum, SUMS)
        wgmma_fence();
        UNROLL
        for (int d = 0; d < LINE / 32; d++) {
            u64 a_desc = wgmma_desc(a + d * (A_INNER ? 32 : 2048), BOX, 1024, 128);
            u64 b_desc = wgmma_desc(b + d * (B_INNER ? 32 : 2048), BOX, 1024, 128);
            MULTIPLY(sum, a_desc, b_desc, block + d > 0);
        }
        wgmma_commit();
        if (block > 0) {
            WGMMA_WAIT(1);
            ring_give_back(r, last);
        }
        last = r->slot;
        ring_next(r);
    }
    WGMMA_WAIT(0);
    WGMMA_HOLD(sum, SUMS)
    ring_give_back(r, last);
}
