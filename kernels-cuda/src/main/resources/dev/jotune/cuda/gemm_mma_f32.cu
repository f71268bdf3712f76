/*
 * out (+)= a b of F32 on the tensor cores of compute capability 8.0 and up (mma.sync), which know no F32.
 *
 * SPLIT 0: operands are rounded to TF32, 11 bits of significand, and multiplied once (m16n8k8).
 * SPLIT 1: each number is three of BF16, the first what rounding gives and the next what it leaves, 8 bits a piece: with nothing lost. Of the
 * nine products of pieces the six largest are summed, smallest first; the others are less than 2^-23 of a product together. (Henry, Tang and
 * Heinecke, arXiv 1904.06376.) Tensor cores cut off what they cannot add, always in one direction; therefore they sum 16 numbers of the
 * inner axis at a time, and those sums are added in F32 as it is (Ootomo and Yokota, arXiv 2203.03341).
 * So that no piece is subnormal, numbers are split 2^24 times as large. What is too large for that, infinities and what is no number make
 * sums that are none: such an element is summed anew without tensor cores, as the definition has it.
 *
 * Otherwise it is gemm_mma.cu: a tile of BM x BN for a group, WM x WN for a warp, steps of BK through a ring of STAGES buffers filled by
 * cp.async behind the multiplications' back. Rounding and splitting are done in registers, WN / 8 and WM / 16 products a number: a tile
 * that came as pieces would take one and a half times the shared memory, and a pass over both operands before.
 *
 * Tiles lie in shared memory as the operands lie in device memory, in lines of 16-byte chunks. Along the inner axis ldmatrix takes four
 * bytes for two halves, and hands out what mma wants of TF32; across it items read number by number. In pieces the inner axis is permuted,
 * the same way for both operands: a pair of halves holds numbers that are 4 apart, so that both kinds read alike. Chunks are
 * exchanged within a line so that a warp's reads meet all 32 banks. What is outside of an operand arrives as zeros.
 *
 * BM BN BK WM WN STAGES  sizes; GROUP = 32 (BM / WM) (BN / WN)
 * A_INNER, B_INNER       1: lines along the inner axis, 0: across it
 * CHUNKS                 1: lines are contiguous and begin at multiples of 16 bytes; 0: any strides, copied number by number
 * OUT                    0: F32, 1: BF16, 2: F16
 */
#define BAND 8
#define A_LONG (A_INNER ? BK : BM)
#define B_LONG (B_INNER ? BK : BN)
/* Numbers that one copy brings. */
#define GRAIN (CHUNKS ? 4 : 1)
#define A_COPIES (BM * BK / GRAIN / GROUP)
#define B_COPIES (BN * BK / GRAIN / GROUP)
/* Lines between two that an item copies. */
#define A_LINES (GROUP * GRAIN / A_LONG)
#define B_LINES (GROUP * GRAIN / B_LONG)
#define STAGE ((BM + BN) * BK)
/* Numbers are split so many times as large, products are its square. */
#define LARGER 16777216.0f
#define SMALLER (1.0f / LARGER / LARGER)

/* Where a number of a line lies. Along the inner axis eight lines are read at a place, across it eight numbers of four lines. */
FN int place(int line, int at, int length, int along_inner) {
    int chunks = length / 4;
    int twist = along_inner ? (chunks >= 8 ? line % 8 : line * chunks / 8 % chunks) : line % 4 * 2;
    return line * length + ((at / 4) ^ twist) * 4 + at % 4;
}

/* Where an item finds its numbers: along the inner axis its line of the first eight, across it those 0, 8, 16 and 24 further on. */
struct reader {
    int at[4];
};

FN void reader_open(reader* r, int first, int length, int along_inner, int line) {
    int lane = LID % 32;
    UNROLL
    for (int q = 0; q < 4; q++) {
        r->at[q] = along_inner ? (first + line) * length : place(lane % 4, first + lane / 4 + 8 * q, length, 0);
    }
}

/* Rows 16 i to 16 i + 15 of the warp's and inner k to k + 7, as mma has them of TF32. */
FN void read_a(u32* r, const u32* tile, const reader* from, int i, int k) {
    int lane = LID % 32;
#if A_INNER
    ldmatrix_x4(r, tile + from->at[0] + place(lane % 8, k + lane / 16 * 4, A_LONG, 1) - lane % 8 * A_LONG + 16 * i * A_LONG);
#else
    UNROLL
    for (int e = 0; e < 4; e++) {
        int q = 2 * i + e % 2;
        r[e] = tile[from->at[q % 4] + q / 4 * 32 + (k + e / 2 * 4) * A_LONG];
    }
#endif
}

/* Columns 16 j to 16 j + 15 of the warp's and inner k to k + 7, for two products. */
FN void read_b(u32* r, const u32* tile, const reader* from, int j, int k) {
    int lane = LID % 32;
#if B_INNER
    ldmatrix_x4(r, tile + from->at[0] + place(lane % 8, k + lane / 8 % 2 * 4, B_LONG, 1) - lane % 8 * B_LONG + 16 * j * B_LONG);
#else
    UNROLL
    for (int e = 0; e < 4; e++) {
        int q = 2 * j + e / 2;
        r[e] = tile[from->at[q % 4] + q / 4 * 32 + (k + e % 2 * 4) * B_LONG];
    }
#endif
}

#if SPLIT
/* Two numbers as three pairs of BF16; the next pair is pitch further. */
FN void split(u32* pieces, int pitch, u32 lo, u32 hi) {
    float x = FLOAT_OF(lo) * LARGER;
    float y = FLOAT_OF(hi) * LARGER;
    UNROLL
    for (int p = 0; p < 3; p++) {
        u32 pair = pack_bf16(x, y);
        pieces[p * pitch] = pair;
        x -= FLOAT_OF(pair << 16);
        y -= FLOAT_OF(pair & 0xffff0000u);
    }
}

/* sum += a b over 16 of the inner axis for all rows of the warp, of 8 columns. A step for every row, so that none waits for its own last. */
FN void multiply(float (*sum)[WN / 8][4], int j, const u32 (*a)[WM / 4], const u32* b) {
    float part[WM / 16][4];
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        part[i][0] = part[i][1] = part[i][2] = part[i][3] = 0.0f;
    }
    UNROLL
    for (int order = 2; order >= 0; order--) {
        UNROLL
        for (int p = order; p >= 0; p--) {
            UNROLL
            for (int i = 0; i < WM / 16; i++) {
                mma_bf16(part[i], a[p] + 4 * i, b + 2 * (order - p));
            }
        }
    }
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int e = 0; e < 4; e++) {
            sum[i][j][e] += part[i][e];
        }
    }
}

/* 16 of the inner axis from k on. */
FN void multiply_step(float (*sum)[WN / 8][4], const u32* a_tile, const u32* b_tile, const reader* a_from, const reader* b_from, int k) {
    u32 left[3][WM / 4];
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        u32 r[8];
        read_a(r, a_tile, a_from, i, k);
        read_a(r + 4, a_tile, a_from, i, k + 8);
        UNROLL
        for (int e = 0; e < 4; e++) {
            split(left[0] + 4 * i + e, WM / 4, r[e / 2 * 4 + e % 2], r[e / 2 * 4 + e % 2 + 2]);
        }
    }
    UNROLL
    for (int j = 0; j < WN / 16; j++) {
        u32 r[8];
        read_b(r, b_tile, b_from, j, k);
        read_b(r + 4, b_tile, b_from, j, k + 8);
        UNROLL
        for (int h = 0; h < 2; h++) {
            u32 right[6];
            split(right, 2, r[2 * h], r[2 * h + 1]);
            split(right + 1, 2, r[2 * h + 4], r[2 * h + 5]);
            multiply(sum, 2 * j + h, left, right);
        }
    }
}

/* The definition, for an element that has no sum of pieces. */
FN float without_pieces(const float* a, const float* b, int inner, i64 a_inner, i64 b_inner) {
    float sum = 0.0f;
    for (int k = 0; k < inner; k++) {
        sum = FMA(a[k * a_inner], b[k * b_inner], sum);
    }
    return sum;
}
#else
FN void read_step(u32* left, u32* right, const u32* a_tile, const u32* b_tile, const reader* a_from, const reader* b_from, int k) {
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        read_a(left + 4 * i, a_tile, a_from, i, k);
    }
    UNROLL
    for (int j = 0; j < WN / 16; j++) {
        read_b(right + 4 * j, b_tile, b_from, j, k);
    }
}

/* 8 of the inner axis. */
FN void multiply(float (*sum)[WN / 8][4], u32* left, u32* right) {
    UNROLL
    for (int e = 0; e < WM / 4; e++) {
        left[e] = to_tf32(FLOAT_OF(left[e]));
    }
    UNROLL
    for (int e = 0; e < WN / 4; e++) {
        right[e] = to_tf32(FLOAT_OF(right[e]));
    }
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int j = 0; j < WN / 8; j++) {
            mma_tf32(sum[i][j], left + 4 * i, right + 2 * j);
        }
    }
}
#endif

KERNEL {
    DYNAMIC_SHARED(memory);
    u32* tiles = (u32*)memory;
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
    int warp_row = LID / 32 / (BN / WN) * WM;
    int warp_column = LID / 32 % (BN / WN) * WN;
    const float* a_first = a + outer * a_outer + within * a_within;
    const float* b_first = b + outer * b_outer + within * b_within;

    /* An item copies the same place of every A_LINES-th line of a, of every step; so of b. */
    int a_line = LID * GRAIN / A_LONG;
    int b_line = LID * GRAIN / B_LONG;
    int a_along = LID * GRAIN % A_LONG;
    int b_along = LID * GRAIN % B_LONG;
    i64 a_pitch = A_INNER ? a_row : a_inner;
    i64 b_pitch = B_INNER ? b_column : b_inner;
    i64 a_step = CHUNKS ? 1 : A_INNER ? a_inner : a_row;
    i64 b_step = CHUNKS ? 1 : B_INNER ? b_inner : b_column;
    const float* a_from = a_first + (A_INNER ? row0 + a_line : a_line) * a_pitch + (A_INNER ? a_along : row0 + a_along) * a_step;
    const float* b_from = b_first + (B_INNER ? column0 + b_line : b_line) * b_pitch + (B_INNER ? b_along : column0 + b_along) * b_step;

#if CHUNKS
#define UNROLL_COPIES UNROLL
#define COPY(to, from, left) cp_async16(to, (left) > 0 ? from : a, (left) <= 0 ? 0 : (left) >= 4 ? 16 : 4 * (left))
#else
#define UNROLL_COPIES UNROLL_BY(4)
#define COPY(to, from, left) cp_async4(to, (left) > 0 ? from : a, (left) > 0 ? 4 : 0)
#endif

#define FETCH(step) \
    if ((step) * BK < inner) { \
        u32* to = tiles + (step) % STAGES * STAGE; \
        int k0 = (step) * BK; \
        UNROLL_COPIES \
        for (int i = 0; i < A_COPIES; i++) { \
            int line = a_line + i * A_LINES; \
            int m = row0 + (A_INNER ? line : a_along); \
            int k = k0 + (A_INNER ? a_along : line); \
            int left = m >= rows || k >= inner ? 0 : A_INNER ? inner - k : rows - m; \
            COPY(to + place(line, a_along, A_LONG, A_INNER), a_from + i * A_LINES * a_pitch, left); \
        } \
        UNROLL_COPIES \
        for (int i = 0; i < B_COPIES; i++) { \
            int line = b_line + i * B_LINES; \
            int n = column0 + (B_INNER ? line : b_along); \
            int k = k0 + (B_INNER ? b_along : line); \
            int left = n >= columns || k >= inner ? 0 : B_INNER ? inner - k : columns - n; \
            COPY(to + BM * BK + place(line, b_along, B_LONG, B_INNER), b_from + i * B_LINES * b_pitch, left); \
        } \
        a_from += BK * (A_INNER ? a_step : a_pitch); \
        b_from += BK * (B_INNER ? b_step : b_pitch); \
    } \
    cp_async_commit();

    reader a_reader;
    reader b_reader;
    reader_open(&a_reader, warp_row, A_LONG, A_INNER, LID % 16);
    reader_open(&b_reader, warp_column, B_LONG, B_INNER, LID % 8 + LID % 32 / 16 * 8);
    float sum[WM / 16][WN / 8][4];
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int j = 0; j < WN / 8; j++) {
            sum[i][j][0] = sum[i][j][1] = sum[i][j][2] = sum[i][j][3] = 0.0f;
        }
    }
    UNROLL
    for (int step = 0; step < STAGES - 1; step++) {
        FETCH(step)
    }
    int steps = (inner + BK - 1) / BK;
    for (int step = 0; step < steps; step++) {
        /* This step has arrived for everyone, and everyone is done with the one before, whose buffer is filled next. */
        CP_ASYNC_WAIT(STAGES - 2);
        BARRIER();
        FETCH(step + STAGES - 1)
        const u32* a_tile = tiles + step % STAGES * STAGE;
        const u32* b_tile = a_tile + BM * BK;
#if SPLIT
        UNROLL_BY(1)
        for (int d = 0; d < BK; d += 16) {
            multiply_step(sum, a_tile, b_tile, &a_reader, &b_reader, d);
        }
#else
        u32 left[2][WM / 4];
        u32 right[2][WN / 4];
        read_step(left[0], right[0], a_tile, b_tile, &a_reader, &b_reader, 0);
        UNROLL
        for (int d = 0; d < BK / 8; d++) {
            if (d + 1 < BK / 8) {
                read_step(left[(d + 1) % 2], right[(d + 1) % 2], a_tile, b_tile, &a_reader, &b_reader, 8 * d + 8);
            }
            multiply(sum, left[d % 2], right[d % 2]);
        }
#endif
    }

    /* Two neighbours of a row are an item's, eight those of four items: a sector of 32 bytes in F32. */
    i64 out_at = outer * out_outer + within * out_within;
    int row1 = row0 + warp_row + LID % 32 / 4;
    int column1 = column0 + warp_column + LID % 4 * 2;
#if SPLIT
    /* A bit for each element that has no sum of pieces. */
    u64 strange = 0;
#endif
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int j = 0; j < WN / 8; j++) {
            UNROLL
            for (int e = 0; e < 4; e++) {
                int m = row1 + 16 * i + e / 2 * 8;
                int n = column1 + 8 * j + e % 2;
                if (m < rows && n < columns) {
                    i64 at = out_at + m * out_row + n * out_column;
                    float x = sum[i][j][e];
#if SPLIT
                    if (!(FABS(x) < POS_INF)) {
                        strange |= (u64)1 << ((i * (WN / 8) + j) * 4 + e);
                        continue;
                    }
                    x *= SMALLER;
#endif
                    ST(out, at, accumulate ? LD(out, at) + x : x);
                }
            }
        }
    }
#if SPLIT
    /* No array of registers is read here, so that the loop stays one. */
    UNROLL_BY(1)
    for (int at = 0; strange != 0; at++, strange >>= 1) {
        if (strange & 1) {
            int m = row1 + at / (WN / 2) * 16 + at / 2 % 2 * 8;
            int n = column1 + at / 4 % (WN / 8) * 8 + at % 2;
            float x = without_pieces(a_first + m * a_row, b_first + n * b_column, inner, a_inner, b_inner);
            i64 to = out_at + m * out_row + n * out_column;
            ST(out, to, accumulate ? LD(out, to) + x : x);
        }
    }
#endif
}
