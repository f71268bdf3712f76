/*
 * c[m, n] = a[m, inner] b[n, inner]^T of BF16, for tests of the emulator: tiles of 128 x 64, boxes of 64 along the inner axis by TMA into a
 * ring of three, one item that fetches and two warp groups that multiply. Comments name the places where tests plant faults.
 */
#define STAGES 3
#define STAGE (192 * 128)
KERNEL {
    DYNAMIC_SHARED(memory);
    SHM u64 full[STAGES];
    SHM u64 empty[STAGES];
    int steps = inner / 64;
    if (LID == 0) {
        for (int s = 0; s < STAGES; s++) {
            mbar_init(full + s, 1);
            mbar_init(empty + s, 256);
        }
        fence_barrier_init();
    }
    BARRIER();
    if (LID < 128) {
        SETMAXNREG_DEC(40);
        if (LID == 0) {
            for (int t = 0; t < steps; t++) {
                int s = t % STAGES;
                mbar_wait(empty + s, t / STAGES % 2 ^ 1); /* an empty slot */
                mbar_expect_tx(full + s, STAGE);
                tma_load_2d(memory + s * STAGE, &a_map, full + s, 64 * t, BIDY * 128);
                tma_load_2d(memory + s * STAGE + 128 * 128, &b_map, full + s, 64 * t, BIDX * 64);
            }
        }
    } else {
        SETMAXNREG_INC(232);
        int part = LID / 128 - 1;
        float d[32];
        for (int t = 0; t < steps; t++) {
            int s = t % STAGES;
            mbar_wait(full + s, t / STAGES % 2); /* a full slot */
            u64 x = wgmma_desc(memory + s * STAGE + part * 64 * 128, 16, 1024, 128);
            u64 y = wgmma_desc(memory + s * STAGE + 128 * 128, 16, 1024, 128);
            wgmma_fence();
            UNROLL
            for (int k = 0; k < 4; k++) {
                wgmma_bf16_64x64(d, x + 2 * k, y + 2 * k, t + k > 0);
            }
            wgmma_commit();
            WGMMA_WAIT(0); /* before the slot is given back */
            WGMMA_HOLD(d, 32);
            mbar_arrive(empty + s);
        }
        int lane = LID % 32;
        UNROLL
        for (int e = 0; e < 32; e++) {
            i64 m = BIDY * 128 + part * 64 + LID / 32 % 4 * 16 + lane / 4 + e / 2 % 2 * 8;
            c[m * columns + BIDX * 64 + e / 4 * 8 + lane % 4 * 2 + e % 2] = d[e];
        }
    }
}
