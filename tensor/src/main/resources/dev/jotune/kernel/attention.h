/*
 * What the kernels of attention share: the products of a tile, and what is seen.
 *
 * A tile is ROWS x COLS scores. An item owns OWN_ROWS x OWN_COLS of them and OWN_ROWS x OWN_WIDTH of the result that they weigh:
 *
 *     scores[r][c] = sum_f a[r][f] b[c][f]         features come in chunks, turned round: a chunk is [feature][row], so that an item's
 *                                                  4 + 4 numbers of a feature are two wide reads for 16 multiply-adds
 *     result[r][f] += sum_c weight[r][c] v[c][f]   rows of v come DEPTH at a time as they lie
 *
 * 64 x 64 scores for 256 items: a number that is read from memory serves 64 multiply-adds, and stage, weights and the rows' places
 * take 28 KiB of the 32 KiB that every device has. Steps of rows in shared memory are 4 more than the row, which keeps wide reads
 * aligned and lets neighbours in a column fall into different banks.
 *
 * Rows are numbered over the query heads that read one key/value head: row r is query r % times of the group's head r / times. So
 * grouped heads read a key once, and a single query of a group of heads still fills a tile of 4.
 */
#define ACROSS (COLS / OWN_COLS)
#define X_OF_ITEM (LID % ACROSS)
#define FIRST_ROW (LID / ACROSS * OWN_ROWS)
#define FIRST_COL (X_OF_ITEM * OWN_COLS)
#define CHUNK 16
#define ROW_STEP (ROWS + 4)
#define COL_STEP (COLS + 4)
#define STAGE_SIZE (CHUNK * (ROW_STEP + COL_STEP))
/* Shared memory holds rows of PAD features, the next multiple of 2 ACROSS, in the stage's room. */
#define DEPTH (PAD <= 128 || ROWS < COLS ? 16 : 8)
#define OWN_WIDTH (PAD / ACROSS)
/* An item's features lie together in runs of RUN, so that reads are wide. */
#define RUN (OWN_WIDTH % 4 == 0 ? 4 : OWN_WIDTH % 2 == 0 ? 2 : 1)
#define FEATURE(j) ((j) / RUN * (RUN * ACROSS) + X_OF_ITEM * RUN + (j) % RUN)

/* Features d0 to d0 + CHUNK - 1 of count rows, turned round. Row r lies at `at`, if `there`; what is not there is 0. Two loads at a time: more
 * would take registers that the tile needs. */
#define STAGE_TURNED(to, step, count, p, there, at, width)                             \
    UNROLL_BY(2)                                                                       \
    for (int i = LID; i < (count) * CHUNK; i += GROUP) {                               \
        int r = i / CHUNK;                                                             \
        int d = d0 + i % CHUNK;                                                        \
        (to)[i % CHUNK * (step) + r] = (there) && d < (width) ? LD(p, (at) + d) : R(0.0); \
    }

/* Rows c0 to c0 + DEPTH - 1 as they lie, PAD features each. */
#define STAGE_ROWS(to, p, there, at, width)                                            \
    for (int i = LID; i < DEPTH * PAD; i += GROUP) {                                   \
        int r = c0 + i / PAD;                                                          \
        int d = i % PAD;                                                               \
        (to)[i] = (there) && d < (width) ? LD(p, (at) + d) : R(0.0);                   \
    }

FN int least(int a, int b) {
    return a < b ? a : b;
}

FN int largest(int a, int b) {
    return a > b ? a : b;
}

/* The first and the last time among rows r0 to last: of a tile that reaches into another head, all times. */
FN int first_time(int r0, int last, int times) {
    return r0 / times == last / times ? r0 % times : 0;
}

FN int last_time(int r0, int last, int times) {
    return r0 / times == last / times ? last % times : times - 1;
}

/* Whether a query at time t sees key k, as far as order and window say. */
#define SEES(t, k) ((k) <= (t) + ahead && (k) > (t) + behind)

#define CLEAR(numbers, count)           \
    UNROLL                              \
    for (int e = 0; e < (count); e++) { \
        (numbers)[e] = R(0.0);          \
    }

/* A score within the cap, if there is one, and its slope by what it was. */
FN real capped(real s, real cap, real* slope) {
    *slope = R(1.0);
    if (cap > R(0.0)) {
        real th = TANH(s / cap);
        s = cap * th;
        *slope = R(1.0) - th * th;
    }
    return s;
}

/* sum[i][j] += a chunk of row FIRST_ROW + i times that of column FIRST_COL + j. */
FN void products(real* sum, SHP const real* stage) {
    SHP const real* a = stage + FIRST_ROW;
    SHP const real* b = stage + CHUNK * ROW_STEP + FIRST_COL;
    UNROLL_BY(4)
    for (int f = 0; f < CHUNK; f++) {
        real x[OWN_ROWS];
        real y[OWN_COLS];
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            x[i] = a[f * ROW_STEP + i];
        }
        UNROLL
        for (int j = 0; j < OWN_COLS; j++) {
            y[j] = b[f * COL_STEP + j];
        }
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            UNROLL
            for (int j = 0; j < OWN_COLS; j++) {
                sum[i * OWN_COLS + j] = FMA(x[i], y[j], sum[i * OWN_COLS + j]);
            }
        }
    }
}

/* result[i][j] += sum over columns c0 to c0 + DEPTH - 1 of weights[FIRST_ROW + i][c] rows[c - c0][FEATURE(j)]. */
FN void accumulate(real* result, SHP const real* weights, SHP const real* rows, int c0) {
    UNROLL_BY(1)
    for (int c = 0; c < DEPTH; c += 4) {
        real w[OWN_ROWS * 4];
        UNROLL
        for (int i = 0; i < OWN_ROWS; i++) {
            UNROLL
            for (int k = 0; k < 4; k++) {
                w[i * 4 + k] = weights[(FIRST_ROW + i) * COL_STEP + c0 + c + k];
            }
        }
        UNROLL
        for (int k = 0; k < 4; k++) {
            UNROLL
            for (int j = 0; j < OWN_WIDTH; j++) {
                real v = rows[(c + k) * PAD + FEATURE(j)];
                UNROLL
                for (int i = 0; i < OWN_ROWS; i++) {
                    result[i * OWN_WIDTH + j] = FMA(w[i * 4 + k], v, result[i * OWN_WIDTH + j]);
                }
            }
        }
    }
}

/* An item's weights, for all to read. */
FN void share(SHP real* weights, const real* own) {
    UNROLL
    for (int i = 0; i < OWN_ROWS; i++) {
        UNROLL
        for (int j = 0; j < OWN_COLS; j++) {
            weights[(FIRST_ROW + i) * COL_STEP + FIRST_COL + j] = own[i * OWN_COLS + j];
        }
    }
}
