/*
 * What gemm_mma.cu makes beside out = a b: s (a A^T) B^T and a bias, in the same launch. A's rows are more columns of b: a group multiplies the
 * tile of a that it has staged by them too, and finishes the term in its last lines, where the sums are. So a is read once and no scores
 * pass through memory, but every column of groups makes the same scores: 2 LOW_RANK columns more for each BN. (The idea: LoRAFusion, arXiv
 * 2510.00206, fuses what is bound by memory; here the product takes it along.)
 *
 * LOW_RANK is the rank, padded to the width of mma. A is F32 and comes as two numbers of BF16, of which LOW_RANK lines each lie along the inner
 * axis; a first with a second piece of a score and of B make three products: 2^-16 of the term is lost at most. Warps of one row
 * share out the units, of eight scores of one piece; the sums of both pieces meet in shared memory.
 *
 * A number of A is fetched once a group: 2 LOW_RANK / BN as often as one of b.
 */
#define WARP_COLUMNS (BN / WN)
#define EIGHTS (LOW_RANK / 8)
/* Of each warp. */
#define UNITS (2 * EIGHTS / WARP_COLUMNS)
#define DOWN_CHUNKS (BK / 8)
#define DOWN_LINES (GROUP / DOWN_CHUNKS)
#define DOWN_COPIES (2 * LOW_RANK * BK / 8 / GROUP)
/* Between lines of scores in shared memory: a warp's pairs, four of a line, meet different banks. */
#define SCORE_LINE (LOW_RANK + 8)

FN int place(int line, int chunk, int chunks);
FN int bytes_of(int left);

/* Within FETCH: the lines of A beside the step's tiles. */
#define FETCH_LOW_RANK \
    UNROLL \
    for (int i = 0; i < DOWN_COPIES; i++) { \
        int line = LID / DOWN_CHUNKS + i * DOWN_LINES; \
        int k = k0 + LID % DOWN_CHUNKS * 8; \
        int left = k >= inner ? 0 : inner - k; \
        cp_async16(to + (BM + BN) * BK + place(line, LID % DOWN_CHUNKS, DOWN_CHUNKS), left > 0 ? down + line * down_row + k : down, \
                bytes_of(left)); \
    }

/* Rows of a in registers by 16 numbers of the inner axis of this warp's units. */
FN void low_rank_multiply(float score[WM / 16][UNITS][4], const u32* left, const u16* tile, int warp_column, int k) {
    UNROLL
    for (int u = 0; u < UNITS; u++) {
        u32 right[2];
        ldmatrix_x2(right, tile + place((warp_column * UNITS + u) * 8 + LID % 8, k / 8 + LID / 8 % 2, DOWN_CHUNKS));
        UNROLL
        for (int i = 0; i < WM / 16; i++) {
            mma_bf16(score[i][u], left + 4 * i, right);
        }
    }
}

/* All scores of the group's rows, of either piece, where the steps' tiles were. */
FN void low_rank_meet(float* scores, float score[WM / 16][UNITS][4], int warp_row, int warp_column) {
    BARRIER();
    UNROLL
    for (int u = 0; u < UNITS; u++) {
        int unit = warp_column * UNITS + u;
        float* to = scores + unit / EIGHTS * BM * SCORE_LINE + unit % EIGHTS * 8 + LID % 4 * 2;
        UNROLL
        for (int i = 0; i < WM / 16; i++) {
            UNROLL
            for (int h = 0; h < 2; h++) {
                float* line = to + (warp_row + 16 * i + 8 * h + LID % 32 / 4) * SCORE_LINE;
                line[0] = score[i][u][2 * h];
                line[1] = score[i][u][2 * h + 1];
            }
        }
    }
    BARRIER();
}

FN float low_rank_score(const float* scores, int line, int r) {
    return scores[line * SCORE_LINE + r] + scores[(BM + line) * SCORE_LINE + r];
}

/* Two numbers as two pieces each, packed as mma has them. */
FN void low_rank_pieces(u32* first, u32* second, float x, float y) {
    u32 both = pack_bf16(x, y);
    *first = both;
    *second = pack_bf16(x - FLOAT_OF(both << 16), y - FLOAT_OF(both & 0xffff0000u));
}

/* sum += s scores B^T. What lies beyond the rank is zero in A's lines, and left out of B's. */
FN void low_rank_add(float sum[WM / 16][WN / 8][4], const float* scores, const float* up, i64 up_row, i64 up_inner, int warp_row, int column,
        int columns, int rank, float scale) {
    UNROLL_BY(1)
    for (int k = 0; k < LOW_RANK; k += 16) {
        u32 left[2][WM / 16][4];
        UNROLL
        for (int i = 0; i < WM / 16; i++) {
            UNROLL
            for (int q = 0; q < 4; q++) {
                int line = warp_row + 16 * i + q % 2 * 8 + LID % 32 / 4;
                int r = k + q / 2 * 8 + LID % 4 * 2;
                low_rank_pieces(&left[0][i][q], &left[1][i][q], scale * low_rank_score(scores, line, r),
                        scale * low_rank_score(scores, line, r + 1));
            }
        }
        UNROLL
        for (int j = 0; j < WN / 8; j++) {
            int n = column + 8 * j + LID % 32 / 4;
            u32 right[2][2];
            UNROLL
            for (int q = 0; q < 2; q++) {
                int r = k + 8 * q + LID % 4 * 2;
                const float* at = up + n * up_row + r * up_inner;
                float x = n < columns && r < rank ? at[0] : 0.0f;
                float y = n < columns && r + 1 < rank ? at[up_inner] : 0.0f;
                low_rank_pieces(&right[0][q], &right[1][q], x, y);
            }
            UNROLL
            for (int i = 0; i < WM / 16; i++) {
                mma_bf16(sum[i][j], left[1][i], right[0]);
                mma_bf16(sum[i][j], left[0][i], right[1]);
                mma_bf16(sum[i][j], left[0][i], right[0]);
            }
        }
    }
}

/* The scores themselves, for gradients: by one of the groups that have them. */
FN void low_rank_keep(const float* scores, float* kept, i64 kept_row, int row0, int rows, int rank, float scale) {
    for (int i = LID; i < BM * LOW_RANK; i += GROUP) {
        int line = i / LOW_RANK;
        int r = i % LOW_RANK;
        if (row0 + line < rows && r < rank) {
            kept[(row0 + line) * kept_row + r] = scale * low_rank_score(scores, line, r);
        }
    }
}

