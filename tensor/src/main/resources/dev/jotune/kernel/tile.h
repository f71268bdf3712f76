/*
 * What the kernels share that make a tile of BM x BN numbers of a product at a time, each item TM x TN of these, in registers.
 *
 * The group walks along the inner axis in steps of BK. A step's BM x BK numbers of a and BK x BN numbers of b go through shared
 * memory, laid out with the inner axis first: there items read four neighbours at a time, whatever the operands' strides. While
 * one step is multiplied the next is on its way from memory into registers; two buffers take turns, so a step costs one barrier.
 *
 * An item reads TM + TN numbers of shared memory for TM TN multiply-adds: with 8 x 8 a read of four serves 16 of them, and
 * arithmetic is the bound; 4 x 4 suits products that are too small to fill a device with large tiles.
 *
 * Each element is summed by one item in the order of the inner axis: nothing depends on the schedule.
 *
 * BM BN BK TM TN    sizes of tiles; GROUP = BM / TM * BN / TN
 * VECTOR            1: operands are fetched four numbers at a time, which are neighbours in memory, aligned, and exist together or
 *                   not at all; 0: one at a time, along whatever axis its numbers are nearer, for all other layouts
 * A_INNER, B_INNER  with VECTOR: 1: four lie along the inner axis, 0: across it
 */
INCLUDE product.h
#define PAD 4
#define A_PITCH ((BM + PAD) / 4)
#define B_PITCH ((BN + PAD) / 4)
#define A_FETCHES (BM * BK / 4 / GROUP)
#define B_FETCHES (BN * BK / 4 / GROUP)
#define ITEMS_DOWN (BM / TM)
#define ITEMS_ACROSS (BN / TN)
/* An item's place among those of its tile; where its row i and the first of its columns 4 j to 4 j + 3 lie in the tile. */
#define DOWN (LID / ITEMS_ACROSS)
#define ACROSS (LID % ITEMS_ACROSS)
#define TILE_ROW(i) (((i) / 4 * ITEMS_DOWN + DOWN) * 4 + (i) % 4)
#define TILE_COLUMN(j) (((j) * ITEMS_ACROSS + ACROSS) * 4)

/* Where the first number of an item's fetch i lies in a step of the tile. */
#if VECTOR
#if A_INNER
#define A_M(i) ((LID + i * GROUP) / (BK / 4))
#define A_K(i) ((LID + i * GROUP) % (BK / 4) * 4)
#else
#define A_M(i) ((LID + i * GROUP) % (BM / 4) * 4)
#define A_K(i) ((LID + i * GROUP) / (BM / 4))
#endif
#if B_INNER
#define B_N(i) ((LID + i * GROUP) / (BK / 4))
#define B_K(i) ((LID + i * GROUP) % (BK / 4) * 4)
#else
#define B_N(i) ((LID + i * GROUP) % (BN / 4) * 4)
#define B_K(i) ((LID + i * GROUP) / (BN / 4))
#endif
#else
#define A_M(i) (a_along ? (LID + i * GROUP) / BK : (LID + i * GROUP) % BM)
#define A_K(i) (a_along ? (LID + i * GROUP) % BK : (LID + i * GROUP) / BM)
#define B_N(i) (b_along ? (LID + i * GROUP) / BK : (LID + i * GROUP) % BN)
#define B_K(i) (b_along ? (LID + i * GROUP) % BK : (LID + i * GROUP) / BN)
#endif

/* Adds a number of a times TN numbers of b to a row of the item's sums. */
#define ROW(i, left) \
    UNROLL \
    for (int j = 0; j < TN / 4; j++) { \
        sum[i][j].x = FMA(left, right[j].x, sum[i][j].x); \
        sum[i][j].y = FMA(left, right[j].y, sum[i][j].y); \
        sum[i][j].z = FMA(left, right[j].z, sum[i][j].z); \
        sum[i][j].w = FMA(left, right[j].w, sum[i][j].w); \
    }
