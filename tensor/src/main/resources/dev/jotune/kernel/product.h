/*
 * How the kernels of products read b: number (k, n), and four of them that lie beside one another. A quantised weight has its rows
 * along n, and widens what is read.
 */
#if QUANTIZED
#define B_NEAR_INNER 1
#define B_ONE(k, n) WIDEN(n, k)
#define B_FOUR(k, n) WIDEN4(n, k)
#else
#define B_NEAR_INNER (b_inner <= b_column)
#define B_ONE(k, n) LD(b, b_at + (k) * b_inner + (n) * b_column)
#define B_FOUR(k, n) LD4(b, b_at + (k) * b_inner + (n) * b_column)
#endif
