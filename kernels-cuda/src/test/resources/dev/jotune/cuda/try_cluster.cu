/*
 * For tests of the emulator: two groups of a cluster each fetch half of the columns of x[64, 64] for both, add the halves, and store what
 * they get by TMA as their half of y[64, 64]; the same is added to sums[64, 64].
 */
KERNEL {
    DYNAMIC_SHARED(memory);
    SHM u64 bars[2];
    float* out = (float*)(memory + 16384);
    int me = (int)cluster_rank();
    if (LID == 0) {
        mbar_init(bars, 1);
        mbar_init(bars + 1, 2);
        fence_barrier_init();
    }
    CLUSTER_SYNC(); /* barriers are there */
    if (LID == 0) {
        mbar_expect_tx(bars, 16384);
        tma_load_2d_multicast(memory + me * 8192, &x_map, bars, me * 32, 0, 3);
    }
    mbar_wait(bars, 0);
    const float* in = (const float*)(memory + me * 8192);
    for (int i = LID; i < 64 * 32; i += GROUP) {
        out[i] = in[i] + ((const float*)(memory + (1 - me) * 8192))[i];
    }
    fence_proxy_async();
    BARRIER();
    if (LID == 0) {
        tma_store_2d(&y_map, out, me * 32, 0);
        tma_reduce_add_2d(&sums_map, out, me * 32, 0);
        tma_store_commit();
        TMA_STORE_WAIT(0); /* before leaving */
        mbar_arrive_remote(bars + 1, 0);
        mbar_arrive_remote(bars + 1, 1);
    }
    mbar_wait(bars + 1, 0); /* nobody leaves early */
}
