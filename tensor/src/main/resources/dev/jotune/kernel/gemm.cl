/*
 * out (+)= a b: each group makes a tile of out, as tile.h says.
 *
 * Every number of a is fetched N / BN times and every one of b M / BM times: groups with neighbouring numbers work on tiles that
 * share operands, in bands of BAND rows of tiles, so that most of these fetches meet a cache. 2 M N K operations; at least
 * M K + K N + M N elements.
 *
 * OUT_F32    1: out can be written four numbers at a time, which out_fours then allows
 * QUANTIZED  1: b is a quantised weight; the text before this one says how its numbers are widened
 */
INCLUDE tile.h
#define BAND 8
#define PUT(place, v) ST(out, place, accumulate ? LD(out, place) + (v) : (v))

KERNEL {
    SHM real4 a_shared[2 * BK * A_PITCH];
    SHM real4 b_shared[2 * BK * B_PITCH];
    int row_tiles = (rows + BM - 1) / BM;
    int column_tiles = (columns + BN - 1) / BN;
    int batch = BIDX / (row_tiles * column_tiles);
    int tile = BIDX % (row_tiles * column_tiles);
    int band = tile / (BAND * column_tiles) * BAND;
    int height = row_tiles - band < BAND ? row_tiles - band : BAND;
    int row0 = (band + (tile - band * column_tiles) % height) * BM;
    int column0 = (tile - band * column_tiles) / height * BN;
    i64 outer = batch / inner_batches;
    i64 within = batch % inner_batches;
    i64 a_at = outer * a_outer + within * a_within;
#if !QUANTIZED
    i64 b_at = outer * b_outer + within * b_within;
#endif
INCLUDE tile_product.h

    i64 out_at = outer * out_outer + within * out_within;
    UNROLL
    for (int i = 0; i < TM; i++) {
        int m = row0 + TILE_ROW(i);
        UNROLL
        for (int j = 0; j < TN / 4; j++) {
            int n = column0 + TILE_COLUMN(j);
            i64 place = out_at + m * out_row + n * out_column;
            if (m < rows && n < columns) {
                real4 v = sum[i][j];
#if OUT_F32
                if (out_fours) {
                    if (accumulate) {
                        real4 old = LD4(out, place);
                        v = REAL4(old.x + v.x, old.y + v.y, old.z + v.z, old.w + v.w);
                    }
                    ST4(out, place, v);
                    continue;
                }
#endif
                PUT(place, v.x);
                if (n + 1 < columns) {
                    PUT(place + out_column, v.y);
                }
                if (n + 2 < columns) {
                    PUT(place + 2 * out_column, v.z);
                }
                if (n + 3 < columns) {
                    PUT(place + 3 * out_column, v.w);
                }
            }
        }
    }
}
