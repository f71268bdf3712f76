/*
 * out (+)= a b of halves (BF16 or F16), or of F32 rounded to TF32, with sums in F32 on compute capability 9.0: operands come by TMA,
 * tensor cores read them from shared memory (wgmma). The ring that both meet at stands before this text.
 *
 * A group stays on its unit and makes tile after tile of BM x BN. Its first four warps only fetch, by one item; registers move from them
 * to the warp groups that hold sums, 64 x BN each. While sums leave, the next tile's buffers fill. Sums leave by TMA too, in pieces
 * of 64 lines of 128 bytes, two pieces on their way; accumulating is TMA's addition, one for each element.
 *
 * 128 x 256 sums take 384 operands a step, the fewest for the registers there are: two warp groups of 128 sums an item. Every
 * number of a is fetched N / BN times and every one of b M / BM times, mostly from L2: neighbouring groups work on tiles in bands of
 * BAND rows of tiles. 2 M N K operations; at least M K + K N numbers read and M N written.
 *
 * With passes, a has so many matrices, which all meet the same b: pieces of numbers that are too long for one.
 *
 * OUT_F32  1: out is F32, 0: of the operands' type
 * EXTRA    1: the inner axis goes on for extra numbers in two further operands of the same layout: a low-rank term, a bias
 */
#define BAND 8
/* Columns of a piece of out. */
#define PIECE (OUT_F32 ? 32 : 64)
#if HALF_F16
#define PACK(lo, hi) pack_f16(lo, hi)
#else
#define PACK(lo, hi) pack_bf16(lo, hi)
#endif

/* From a tile's number to its place. Groups of a cluster have neighbouring rows; one of them may lie outside. */
#define FIND_TILE \
    int batch = tile / (row_teams * column_tiles); \
    int at = tile % (row_teams * column_tiles); \
    int band = at / (BAND * column_tiles) * BAND; \
    int height = row_teams - band < BAND ? row_teams - band : BAND; \
    int row0 = ((band + (at - band * column_tiles) % height) * CLUSTER + r.rank) * BM; \
    int column0 = (at - band * column_tiles) / height * BN;

KERNEL {
    DYNAMIC_SHARED(memory);
    unsigned char* pieces = memory + STAGES * STAGE;
    ring r;
    ring_open(&r, memory, pieces + TEAMS * 2 * BOX);
    int row_teams = (rows + BM * CLUSTER - 1) / (BM * CLUSTER);
    int column_tiles = (columns + BN - 1) / BN;
    int tiles = row_teams * column_tiles * batches;
    int own = (inner + BK - 1) / BK;
#if EXTRA
    int further = (extra + BK - 1) / BK;
#else
    int further = 0;
#endif
    if (LID < 128) {
        SETMAXNREG_DEC(40);
        if (LID == 0) {
            tma_prefetch(&a_map);
            tma_prefetch(&b_map);
            tma_prefetch(&out_map);
            for (int tile = BIDX / CLUSTER; tile < tiles; tile += GRIDX / CLUSTER) {
                FIND_TILE
                for (int pass = 0; pass < passes; pass++) {
                    for (int block = 0; block < own; block++) {
                        ring_fetch(&r, &a_map, &b_map, block * BK, row0, column0, a_batched ? batch : pass, b_batched ? batch : 0);
                    }
                }
#if EXTRA
                for (int block = 0; block < further; block++) {
                    ring_fetch(&r, &a_extra_map, &b_extra_map, block * BK, row0, column0, 0, 0);
                }
#endif
            }
        }
    } else {
        SETMAXNREG_INC(232);
        int team = LID / 128 - 1;
        int elected = LID % 128 == 0;
        int line = LID % 128 / 32 * 16 + LID % 32 / 4;
        int turn = 0;
        float sum[SUMS];
        UNROLL
        for (int i = 0; i < SUMS; i++) {
            sum[i] = 0.0f;
        }
        for (int tile = BIDX / CLUSTER; tile < tiles; tile += GRIDX / CLUSTER) {
            FIND_TILE
            ring_multiply(&r, sum, own * passes + further, team);
            UNROLL
            for (int p = 0; p < BN / PIECE; p++) {
                if (column0 + p * PIECE < columns && row0 + 64 * team < rows) {
                    unsigned char* piece = pieces + (2 * team + turn) * BOX;
                    if (elected) {
                        TMA_STORE_WAIT(1);
                    }
                    BAR_SYNC(1 + team, 128);
                    /* Chunks of 16 bytes are exchanged within a line as TMA has it: eight lines meet different banks. */
                    UNROLL
                    for (int j = 0; j < PIECE / 8; j++) {
                        const float* v = sum + 4 * (p * PIECE / 8 + j);
                        UNROLL
                        for (int h = 0; h < 2; h++) {
                            unsigned char* to = piece + (line + 8 * h) * 128;
#if OUT_F32
                            float* pair = (float*)(to + ((2 * j + LID % 4 / 2) ^ (line % 8)) * 16 + LID % 2 * 8);
                            pair[0] = v[2 * h];
                            pair[1] = v[2 * h + 1];
#else
                            *(u32*)(to + (j ^ (line % 8)) * 16 + LID % 4 * 4) = PACK(v[2 * h], v[2 * h + 1]);
#endif
                        }
                    }
                    fence_proxy_async();
                    BAR_SYNC(1 + team, 128);
                    if (elected) {
                        if (accumulate) {
                            tma_reduce_add_3d(&out_map, piece, column0 + p * PIECE, row0 + 64 * team, batch);
                        } else {
                            tma_store_3d(&out_map, piece, column0 + p * PIECE, row0 + 64 * team, batch);
                        }
                        tma_store_commit();
                    }
                    turn ^= 1;
                }
            }
        }
        if (elected) {
            TMA_STORE_WAIT(0);
        }
    }
    ring_close();
}
