/*
 * c[64, WIDE] = a[64, 64] b[64, WIDE] of halves, for tests of the emulator, with operands as they may lie: SPAN bytes of swizzle (16: none),
 * contiguous along the inner axis (a[64, 64], b[WIDE, 64]) or across it (A_ACROSS: a[inner, 64], B_ACROSS: b[inner, WIDE]), a from
 * shared memory or, with A_REGISTERS, from registers. With TF32 c[64, WIDE] = a[64, 32] b[32, WIDE], along the inner axis alone.
 * One warp group, one box a span.
 */
#define NUMBERS (SPAN / (TF32 ? 4 : 2))
#define SWIZZLE (SPAN == 16 ? 0 : SPAN)
#define A_SIZE (64 * 128)
#define PASTE2(a, b, c, d) a##b##c##d
#define PASTE(a, b, c, d) PASTE2(a, b, c, d)
#if A_REGISTERS
#if B_ACROSS
#define PRODUCT PASTE(wgmma_bf16_ra_, 64x, WIDE, _bt)
#else
#define PRODUCT PASTE(wgmma_bf16_ra_, 64x, WIDE, )
#endif
#elif TF32
#define PRODUCT PASTE(wgmma_tf32_, 64x, WIDE, )
#elif A_ACROSS && B_ACROSS
#define PRODUCT PASTE(wgmma_f16_, 64x, WIDE, _at_bt)
#elif A_ACROSS
#define PRODUCT PASTE(wgmma_f16_, 64x, WIDE, _at)
#elif B_ACROSS
#define PRODUCT PASTE(wgmma_f16_, 64x, WIDE, _bt)
#else
#define PRODUCT PASTE(wgmma_f16_, 64x, WIDE, )
#endif

/* `wide` lines (or columns, if they lie across) of 128 bytes along the inner axis. */
FN void fetch(unsigned char* to, const tensor_map* map, u64* bar, int wide, int across) {
    for (int i = 0; i < (across ? 2 * wide : 128) / SPAN; i++) {
        tma_load_2d(to + i * (across ? 64 : wide) * SPAN, map, bar, i * NUMBERS, 0);
    }
}

/* The k-th 32 bytes along the inner axis. */
FN u64 slice(const unsigned char* at, int wide, int across, int k) {
    if (across) {
        u32 next_span = 64 * SPAN;
        u32 next_eight = 8 * SPAN;
        return SPAN == 16 ? wgmma_desc(at + k * 16 * SPAN, next_eight, next_span, 0) : wgmma_desc(at + k * 16 * SPAN, next_span, next_eight, SWIZZLE);
    }
    const unsigned char* from = at + k * 32 / SPAN * wide * SPAN + k * 32 % SPAN;
    return wgmma_desc(from, SPAN == 16 ? wide * SPAN : 16, 8 * SPAN, SWIZZLE);
}

KERNEL {
    DYNAMIC_SHARED(memory);
    SHM u64 bar[1];
    if (LID == 0) {
        mbar_init(bar, 1);
        fence_barrier_init();
        mbar_expect_tx(bar, A_SIZE + WIDE * 128);
        fetch(memory, &a_map, bar, 64, A_ACROSS);
        fetch(memory + A_SIZE, &b_map, bar, WIDE, B_ACROSS);
    }
    BARRIER();
    mbar_wait(bar, 0);
    float d[WIDE / 2];
    wgmma_fence();
    UNROLL
    for (int k = 0; k < 4; k++) {
        u64 y = slice(memory + A_SIZE, WIDE, B_ACROSS, k);
#if A_REGISTERS
        u32 x[4];
        int lane = LID % 32;
        UNROLL
        for (int r = 0; r < 4; r++) {
            const u16* from = a + (LID / 32 * 16 + lane / 4 + r % 2 * 8) * 64 + 16 * k + lane % 4 * 2 + r / 2 * 8;
            x[r] = from[0] | (u32)from[1] << 16;
        }
        wgmma_fence();
        PRODUCT(d, x, y, k > 0);
#else
        PRODUCT(d, slice(memory, 64, A_ACROSS, k), y, k > 0);
#endif
    }
    wgmma_commit();
    WGMMA_WAIT(0);
    WGMMA_HOLD(d, WIDE / 2);
    UNROLL
    for (int e = 0; e < WIDE / 2; e++) {
        int m = LID / 32 * 16 + LID % 32 / 4 + e / 2 % 2 * 8;
        c[m * WIDE + e / 4 * 8 + LID % 4 * 2 + e % 2] = d[e];
    }
}
