INCLUDE wgmma_ring.h
/*
 * For each row of hidden the log-sum-exp of its products with all columns of a vocabulary, and the product with its label's: what the
 * cross-entropy needs, without a logit ever leaving its unit. (Online sums: Milakov and Gimelshein, arXiv 1805.02867; the fused loss:
 * Wijmans et al., arXiv 2411.09009.) The ring of wgmma stands before this text.
 *
 * A group takes BM rows and one of splits parts of the vocabulary, tile after tile of BN columns. After each tile an item, which holds BN / 4
 * logits of each of two rows, updates the rows' maximum and the sum of exponentials beneath it; the four items of a row meet once,
 * at the end. linear_cross_entropy_end.cu joins the parts.
 *
 * Groups that run together take the same columns of BAND rows of tiles: 32 x 128 rows of 4096 halves are 33 MB, so that the rows stay in
 * L2 while the vocabulary passes. 2 M V K operations and M V exponentials; at least 2 (M K + V K M / (BM BAND)) bytes read.
 *
 * CAPPED  1: a logit z is softcap tanh(z / softcap)
 */
#define BAND 32
#define LOG2_E 1.4426950408889634f

KERNEL {
    DYNAMIC_SHARED(memory);
    ring r;
    ring_open(&r, memory, memory + STAGES * STAGE);
    int row_tiles = (rows + BM - 1) / BM;
    int column_tiles = (columns + BN - 1) / BN;
    int blocks = (inner + BK - 1) / BK;

/* A part of the work by its number: BM rows, and tiles of columns from one to another. */
#define FIND_PART \
    int band = part / (BAND * splits) * BAND; \
    int height = row_tiles - band < BAND ? row_tiles - band : BAND; \
    int row0 = (band + (part - band * splits) % height) * BM; \
    int split = (part - band * splits) / height; \
    int from = (int)((i64)column_tiles * split / splits); \
    int to = (int)((i64)column_tiles * (split + 1) / splits);

    if (LID < 128) {
        SETMAXNREG_DEC(40);
        if (LID == 0) {
            tma_prefetch(&a_map);
            tma_prefetch(&b_map);
            for (int part = BIDX; part < row_tiles * splits; part += GRIDX) {
                FIND_PART
                for (int tile = from; tile < to; tile++) {
                    for (int block = 0; block < blocks; block++) {
                        ring_fetch(&r, &a_map, &b_map, block * BK, row0, tile * BN, 0, 0);
                    }
                }
            }
        }
    } else {
        SETMAXNREG_INC(232);
        int team = LID / 128 - 1;
        int line = team * 64 + LID % 128 / 32 * 16 + LID % 32 / 4;
        float sum[SUMS];
        UNROLL
        for (int i = 0; i < SUMS; i++) {
            sum[i] = 0.0f;
        }
        for (int part = BIDX; part < row_tiles * splits; part += GRIDX) {
            FIND_PART
            float most_of[2];
            float total_of[2];
            int label_of[2];
            UNROLL
            for (int h = 0; h < 2; h++) {
                int m = row0 + line + 8 * h;
                most_of[h] = NEG_INF;
                total_of[h] = 0.0f;
                label_of[h] = m < rows ? (int)labels[m] : -1;
            }
            for (int tile = from; tile < to; tile++) {
                ring_multiply(&r, sum, blocks, team);
#if CAPPED
                UNROLL
                for (int i = 0; i < SUMS; i++) {
                    sum[i] = softcap * TANH(sum[i] / softcap);
                }
#endif
                /* This item's first column; its others are 1, 8, 9, 16 and so on further. */
                int column = tile * BN + LID % 4 * 2;
                if ((tile + 1) * BN > columns) {
                    UNROLL
                    for (int i = 0; i < SUMS; i++) {
                        if (column + i / 4 * 8 + i % 2 >= columns) {
                            sum[i] = NEG_INF;
                        }
                    }
                }
                UNROLL
                for (int h = 0; h < 2; h++) {
                    float most_now = most_of[h];
                    UNROLL
                    for (int j = 0; j < SUMS / 4; j++) {
                        most_now = fmaxf(most_now, fmaxf(sum[4 * j + 2 * h], sum[4 * j + 2 * h + 1]));
                    }
                    /* Where all are -inf, nothing is taken away: inf - inf would be no number. */
                    float beneath = most_now == NEG_INF ? 0.0f : most_now * LOG2_E;
                    float total_now = total_of[h] * exp2_fast(most_of[h] * LOG2_E - beneath);
                    UNROLL
                    for (int j = 0; j < SUMS / 4; j++) {
                        total_now += exp2_fast(FMA(sum[4 * j + 2 * h], LOG2_E, -beneath)) + exp2_fast(FMA(sum[4 * j + 2 * h + 1], LOG2_E, -beneath));
                    }
                    most_of[h] = most_now;
                    total_of[h] = total_now;
                    int at = label_of[h] - column;
                    if (at >= 0 && at < BN && at % 8 < 2) {
                        UNROLL
                        for (int j = 0; j < SUMS / 4; j++) {
                            UNROLL
                            for (int e = 0; e < 2; e++) {
                                if (at == 8 * j + e) {
                                    picked[row0 + line + 8 * h] = sum[4 * j + 2 * h + e];
                                }
                            }
                        }
                    }
                }
            }
            UNROLL
            for (int h = 0; h < 2; h++) {
                UNROLL
                for (int apart = 1; apart < 4; apart *= 2) {
                    float other = __shfl_xor_sync(0xffffffffu, most_of[h], apart);
                    float other_total = __shfl_xor_sync(0xffffffffu, total_of[h], apart);
                    float most_now = fmaxf(most_of[h], other);
                    float beneath = most_now == NEG_INF ? 0.0f : most_now * LOG2_E;
                    total_of[h] = total_of[h] * exp2_fast(most_of[h] * LOG2_E - beneath) + other_total * exp2_fast(other * LOG2_E - beneath);
                    most_of[h] = most_now;
                }
                int m = row0 + line + 8 * h;
                if (LID % 4 == 0 && m < rows) {
                    most[(i64)split * rows + m] = most_of[h];
                    total[(i64)split * rows + m] = total_of[h];
                }
            }
        }
    }
    ring_close();
}
