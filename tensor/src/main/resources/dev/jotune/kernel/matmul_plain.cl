/*
 * c (+)= a b for any strides, the plain way: what every device can run and faster products are compared with.
 *
 * A group of TILE x TILE items computes a tile of c, one element an item. The sum over k goes in steps of TILE: the group loads
 * one tile of a and one of b into shared memory, where each element is then read TILE times instead of from device memory.
 * Tiles of 16 take 2 x 16 x 17 reals (2.2 KB); the column more than TILE keeps items of different rows off the same bank.
 * Of 2 m n k flops each pair needs two reads of shared memory, which is what bounds this kernel.
 */
KERNEL {
    SHM real left[TILE * (TILE + 1)];
    SHM real right[TILE * (TILE + 1)];
    int row = LID / TILE;
    int column = LID % TILE;
    i64 tiles_m = (m + TILE - 1) / TILE;
    i64 tiles_n = (n + TILE - 1) / TILE;
    for (i64 tile = BIDX; tile < batches * tiles_m * tiles_n; tile += GRIDX) {
        i64 batch = tile / (tiles_m * tiles_n);
        i64 r = tile / tiles_n % tiles_m * TILE + row;
        i64 s = tile % tiles_n * TILE + column;
        i64 a_at = batch % inner * a_inner + batch / inner * a_outer;
        i64 b_at = batch % inner * b_inner + batch / inner * b_outer;
        i64 c_at = batch % inner * c_inner + batch / inner * c_outer + r * c_row + s * c_column;
        real sum = R(0.0);
        for (i64 k0 = 0; k0 < k; k0 += TILE) {
            left[row * (TILE + 1) + column] = r < m && k0 + column < k ? LD(a, a_at + r * a_row + (k0 + column) * a_column) : R(0.0);
            right[row * (TILE + 1) + column] = s < n && k0 + row < k ? LD(b, b_at + (k0 + row) * b_row + s * b_column) : R(0.0);
            BARRIER();
            for (int i = 0; i < TILE; i++) {
                sum = FMA(left[row * (TILE + 1) + i], right[i * (TILE + 1) + column], sum);
            }
            BARRIER();
        }
        if (r < m && s < n) {
#if ACCUMULATE
            sum += LD(c, c_at);
#endif
            ST(c, c_at, sum);
        }
    }
}
