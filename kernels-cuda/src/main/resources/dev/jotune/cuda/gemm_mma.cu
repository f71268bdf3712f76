/*
 * out (+)= a b of halves (BF16 or F16) with sums in F32, on the tensor cores of compute capability 8.0 and up: mma.sync.
 *
 * A group makes a tile of BM x BN, each of its warps WM x WN of it in registers. Steps of BK of the inner axis come by cp.async into a
 * ring of STAGES buffers: while one is multiplied, STAGES - 1 are on their way, and one barrier a step serves both ends of the
 * ring. Within a step the fragments of the next 16 are read by ldmatrix while those of this one are multiplied.
 *
 * A warp of 64 x 64 reads 8 KiB of shared memory for 64 x 64 x 16 multiply-adds twice over; smaller warps would be bound by that. Large
 * tiles are for arithmetic, small ones for products that would not fill the device. Every number of a is fetched N / BN times
 * and every one of b M / BM times, for the most part from L2: groups with neighbouring numbers share operands, in bands of BAND rows
 * of tiles. 2 M N K operations; at least 2 (M K + K N) bytes read and M N numbers written.
 *
 * Tiles lie in shared memory as the operands lie in device memory, in lines of 16-byte chunks along the contiguous axis; ldmatrix
 * transposes what lies across. Chunks are exchanged within a line depending on its number, so that eight lines of one column meet all
 * 32 banks. What is outside of an operand arrives as zeros.
 *
 * BM BN BK WM WN STAGES  sizes; GROUP = 32 (BM / WM) (BN / WN)
 * A_INNER, B_INNER       1: contiguous along the inner axis, 0: across it. Lines begin at multiples of 16 bytes.
 * HALF_F16               1: F16, 0: BF16
 * OUT                    0: F32, 1: BF16, 2: F16; out_pairs: two neighbours of a row may be written as one
 * LOW_RANK               0, or a multiple of 16: a low-rank term and a bias come along, see gemm_low_rank.h
 */
#define BAND 8
#define A_CHUNKS ((A_INNER ? BK : BM) / 8)
#define B_CHUNKS ((B_INNER ? BK : BN) / 8)
#define A_COPIES (BM * BK / 8 / GROUP)
#define B_COPIES (BN * BK / 8 / GROUP)
/* Lines between two that an item copies: a multiple of eight, so that their chunks are exchanged alike. */
#define A_LINES (GROUP / A_CHUNKS)
#define B_LINES (GROUP / B_CHUNKS)
#define STAGE ((BM + BN + 2 * LOW_RANK) * BK)
#define DEEP (BK / 16)

/* Where a chunk of a line begins, in halves. */
FN int place(int line, int chunk, int chunks) {
    int twist = chunks >= 8 ? line % 8 : line * chunks / 8 % chunks;
    return (line * chunks + (chunk ^ twist)) * 8;
}

FN int bytes_of(int left) {
    return left <= 0 ? 0 : left >= 8 ? 16 : 2 * left;
}

/* Rows m to m + WM - 1 and inner k to k + 15, as mma has them. */
FN void read_a(u32* r, const u16* tile, int m, int k) {
    int lane = LID % 32;
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
#if A_INNER
        ldmatrix_x4(r + 4 * i, tile + place(m + 16 * i + lane % 16, k / 8 + lane / 16, A_CHUNKS));
#else
        ldmatrix_x4_trans(r + 4 * i, tile + place(k + lane % 8 + lane / 16 * 8, (m + 16 * i) / 8 + lane / 8 % 2, A_CHUNKS));
#endif
    }
}

FN void read_b(u32* r, const u16* tile, int n, int k) {
    int lane = LID % 32;
    UNROLL
    for (int j = 0; j < WN / 16; j++) {
#if B_INNER
        ldmatrix_x4(r + 4 * j, tile + place(n + 16 * j + lane % 8 + lane / 16 * 8, k / 8 + lane / 8 % 2, B_CHUNKS));
#else
        ldmatrix_x4_trans(r + 4 * j, tile + place(k + lane % 16, (n + 16 * j) / 8 + lane / 16, B_CHUNKS));
#endif
    }
}

struct __align__(8) two_reals {
    float x, y;
};

#if !LOW_RANK
#define FETCH_LOW_RANK
#endif

KERNEL {
    DYNAMIC_SHARED(memory);
    u16* tiles = (u16*)memory;
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

    /* An item copies the same chunk of every A_LINES-th line of a, of every step; so of b. */
    int a_line = LID / A_CHUNKS;
    int b_line = LID / B_CHUNKS;
    int a_along = LID % A_CHUNKS * 8;
    int b_along = LID % B_CHUNKS * 8;
    i64 a_pitch = A_INNER ? a_row : a_inner;
    i64 b_pitch = B_INNER ? b_column : b_inner;
    const u16* a_from = a + outer * a_outer + within * a_within + (A_INNER ? row0 : 0) * a_pitch + (A_INNER ? 0 : row0) + a_line * a_pitch + a_along;
    const u16* b_from = b + outer * b_outer + within * b_within + (B_INNER ? column0 : 0) * b_pitch + (B_INNER ? 0 : column0) + b_line * b_pitch
            + b_along;
    int a_place = place(a_line, a_along / 8, A_CHUNKS);
    int b_place = BM * BK + place(b_line, b_along / 8, B_CHUNKS);

#define FETCH(step) \
    if ((step) * BK < inner) { \
        u16* to = tiles + (step) % STAGES * STAGE; \
        int k0 = (step) * BK; \
        UNROLL \
        for (int i = 0; i < A_COPIES; i++) { \
            int m = row0 + (A_INNER ? a_line + i * A_LINES : a_along); \
            int k = k0 + (A_INNER ? a_along : a_line + i * A_LINES); \
            int left = m >= rows || k >= inner ? 0 : A_INNER ? inner - k : rows - m; \
            cp_async16(to + a_place + i * A_LINES * A_CHUNKS * 8, left > 0 ? a_from + i * A_LINES * a_pitch : a, bytes_of(left)); \
        } \
        UNROLL \
        for (int i = 0; i < B_COPIES; i++) { \
            int n = column0 + (B_INNER ? b_line + i * B_LINES : b_along); \
            int k = k0 + (B_INNER ? b_along : b_line + i * B_LINES); \
            int left = n >= columns || k >= inner ? 0 : B_INNER ? inner - k : columns - n; \
            cp_async16(to + b_place + i * B_LINES * B_CHUNKS * 8, left > 0 ? b_from + i * B_LINES * b_pitch : b, bytes_of(left)); \
        } \
        FETCH_LOW_RANK \
        a_from += A_INNER ? BK : BK * a_pitch; \
        b_from += B_INNER ? BK : BK * b_pitch; \
    } \
    cp_async_commit();

    float sum[WM / 16][WN / 8][4];
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int j = 0; j < WN / 8; j++) {
            sum[i][j][0] = sum[i][j][1] = sum[i][j][2] = sum[i][j][3] = 0.0f;
        }
    }
#if LOW_RANK
    float score[WM / 16][UNITS][4];
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int u = 0; u < UNITS; u++) {
            score[i][u][0] = score[i][u][1] = score[i][u][2] = score[i][u][3] = 0.0f;
        }
    }
#endif
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
        const u16* a_tile = tiles + step % STAGES * STAGE;
        const u16* b_tile = a_tile + BM * BK;
        u32 left[2][WM / 4];
        u32 right[2][WN / 4];
        read_a(left[0], a_tile, warp_row, 0);
        read_b(right[0], b_tile, warp_column, 0);
        UNROLL
        for (int d = 0; d < DEEP; d++) {
            if (d + 1 < DEEP) {
                read_a(left[(d + 1) % 2], a_tile, warp_row, 16 * d + 16);
                read_b(right[(d + 1) % 2], b_tile, warp_column, 16 * d + 16);
            }
            UNROLL
            for (int i = 0; i < WM / 16; i++) {
                UNROLL
                for (int j = 0; j < WN / 8; j++) {
#if HALF_F16
                    mma_f16(sum[i][j], left[d % 2] + 4 * i, right[d % 2] + 2 * j);
#else
                    mma_bf16(sum[i][j], left[d % 2] + 4 * i, right[d % 2] + 2 * j);
#endif
                }
            }
#if LOW_RANK
            low_rank_multiply(score, left[d % 2], b_tile + BN * BK, warp_column / WN, 16 * d);
#endif
        }
    }
#if LOW_RANK
    CP_ASYNC_WAIT(0);
    low_rank_meet((float*)memory, score, warp_row, warp_column / WN);
    low_rank_add(sum, (const float*)memory, up, up_row, up_inner, warp_row, column0 + warp_column, columns, rank, scale);
    if (keeps && column0 == 0) {
        low_rank_keep((const float*)memory, kept, kept_row, row0, rows, rank, scale);
    }
#endif

    /* Four items of a warp hold eight neighbours of a row: a sector of 32 bytes in F32. */
    i64 out_at = outer * out_outer + within * out_within;
    UNROLL
    for (int i = 0; i < WM / 16; i++) {
        UNROLL
        for (int h = 0; h < 2; h++) {
            int m = row0 + warp_row + 16 * i + 8 * h + LID % 32 / 4;
            UNROLL
            for (int j = 0; j < WN / 8; j++) {
                int n = column0 + warp_column + 8 * j + LID % 4 * 2;
                i64 at = out_at + m * out_row + n * out_column;
                if (m < rows && n < columns) {
                    float x = sum[i][j][2 * h];
                    float y = sum[i][j][2 * h + 1];
                    int two = n + 1 < columns;
#if LOW_RANK
                    if (has_bias) {
                        x += LD(bias, n * bias_step);
                        y += two ? LD(bias, (n + 1) * bias_step) : 0.0f;
                    }
#endif
                    if (accumulate) {
                        x += LD(out, at);
                        y += two ? LD(out, at + out_column) : 0.0f;
                    }
                    if (out_pairs && two) {
#if OUT == 0
                        two_reals v = {x, y};
                        *(two_reals*)(out + at) = v;
#elif OUT == 1
                        *(u32*)(out + at) = pack_bf16(x, y);
#else
                        *(u32*)(out + at) = pack_f16(x, y);
#endif
                    } else {
                        ST(out, at, x);
                        if (two) {
                            ST(out, at + out_column, y);
                        }
                    }
                }
            }
        }
    }
}
