/*
 * out (+)= a b for at most ROWS rows of a, as when a model writes a token at a time.
 *
 * Each number of b serves only as many multiply-adds as a has rows: the bound is reading b, once, evenly. Of a group's items,
 * lanes share a column of out and take turns along the inner axis, each summing its part; the parts are added in shared memory,
 * in the order of the lanes. An item holds COLUMNS columns, so a number of a that was read serves that many.
 *
 * Where b lies along the inner axis (a weight [N, K] as checkpoints have it) neighbouring items are neighbouring lanes, and read
 * a number or four each of one column; where it lies along the columns, neighbouring items are neighbours there. Either way 32
 * of them read one piece of memory. 2 ROWS K N operations for K N elements of b.
 *
 * ROWS      rows of a that items hold sums of, 1 to 8; of those that a does not have nothing is written
 * VECTOR    1: b, and a along the inner axis if b is, is read four numbers at a time, which are neighbours in memory, aligned, and
 *           exist together or not at all; 0: one at a time, for all other layouts
 * B_INNER   with VECTOR: 1: four numbers of b lie along the inner axis, 0: along the columns
 * QUANTIZED as in gemm.cl; goes with B_INNER
 */
INCLUDE product.h
#define COLUMNS 4
#define RESULTS (ROWS * COLUMNS)

KERNEL {
    /* One more than a power of two apart: sums are read by items that would meet in one bank. */
    SHM real part[RESULTS * (GROUP + 1)];
#if VECTOR
    const int along = B_INNER;
#else
    int along = B_NEAR_INNER;
#endif
    int lanes = along ? 32 : GROUP / 8;
    int sets = GROUP / lanes;
    int lane = along ? LID % lanes : LID / sets;
    int set = along ? LID / lanes : LID % sets;
    int column_tiles = (columns + sets * COLUMNS - 1) / (sets * COLUMNS);
    int batch = BIDX / column_tiles;
    int column0 = BIDX % column_tiles * sets * COLUMNS;
    i64 outer = batch / inner_batches;
    i64 within = batch % inner_batches;
    i64 a_at = outer * a_outer + within * a_within;
#if !QUANTIZED
    i64 b_at = outer * b_outer + within * b_within;
#endif
    real sum[ROWS][COLUMNS];
    UNROLL
    for (int m = 0; m < ROWS; m++) {
        UNROLL
        for (int c = 0; c < COLUMNS; c++) {
            sum[m][c] = R(0.0);
        }
    }
    /* Behind the end the last row and column stand in: their sums are never written. */
    int last_row = rows - 1;
    int last_column = columns - 1;
    int n0 = column0 + set * COLUMNS;
#if VECTOR && B_INNER
    int n[COLUMNS];
    UNROLL
    for (int c = 0; c < COLUMNS; c++) {
        n[c] = n0 + c < columns ? n0 + c : last_column;
    }
    for (i64 k = 4 * lane; k < inner; k += 4 * lanes) {
        real4 w[COLUMNS];
        UNROLL
        for (int c = 0; c < COLUMNS; c++) {
            w[c] = B_FOUR((int)k, n[c]);
        }
        UNROLL
        for (int m = 0; m < ROWS; m++) {
            real4 x = LD4(a, a_at + (m < last_row ? m : last_row) * a_row + k);
            UNROLL
            for (int c = 0; c < COLUMNS; c++) {
                sum[m][c] = FMA(x.x, w[c].x, FMA(x.y, w[c].y, FMA(x.z, w[c].z, FMA(x.w, w[c].w, sum[m][c]))));
            }
        }
    }
#else
    for (i64 k = lane; k < inner; k += lanes) {
        real w[COLUMNS];
#if VECTOR
        real4 four = B_FOUR((int)k, n0 < columns ? n0 : columns - COLUMNS);
        w[0] = four.x;
        w[1] = four.y;
        w[2] = four.z;
        w[3] = four.w;
#else
        UNROLL
        for (int c = 0; c < COLUMNS; c++) {
            w[c] = B_ONE((int)k, n0 + c < columns ? n0 + c : last_column);
        }
#endif
        UNROLL
        for (int m = 0; m < ROWS; m++) {
            real x = LD(a, a_at + (m < last_row ? m : last_row) * a_row + k * a_inner);
            UNROLL
            for (int c = 0; c < COLUMNS; c++) {
                sum[m][c] = FMA(x, w[c], sum[m][c]);
            }
        }
    }
#endif
    UNROLL
    for (int m = 0; m < ROWS; m++) {
        UNROLL
        for (int c = 0; c < COLUMNS; c++) {
            part[(m * COLUMNS + c) * (GROUP + 1) + set * lanes + lane] = sum[m][c];
        }
    }
    BARRIER();
    i64 out_at = outer * out_outer + within * out_within;
    for (int r = LID; r < RESULTS * sets; r += GROUP) {
        int m = r / (sets * COLUMNS);
        int place = r % (sets * COLUMNS);
        int column = column0 + place;
        if (m < rows && column < columns) {
            SHP const real* from = part + (m * COLUMNS + place % COLUMNS) * (GROUP + 1) + place / COLUMNS * lanes;
            real total = R(0.0);
            for (int l = 0; l < lanes; l++) {
                total += from[l];
            }
            i64 at = out_at + m * out_row + column * out_column;
            ST(out, at, accumulate ? LD(out, at) + total : total);
        }
    }
}
