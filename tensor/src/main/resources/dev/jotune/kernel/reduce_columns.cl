/*
 * y[o, c] = sum or largest of x[o, :, c]: a reduction over an axis that is not the innermost one.
 *
 * An item takes a column and walks down its rows, so neighbouring items read neighbouring elements at every step; a tree over
 * a group would read elements a whole row apart. Reads each element once.
 */
INCLUDE sums.h

KERNEL {
    for (i64 e = (i64)BIDX * GROUP + LID; e < outer * columns; e += (i64)GRIDX * GROUP) {
        i64 from = e / columns * x_outer + e % columns * x_column;
#if SUM
        real result = R(0.0);
        real lost = R(0.0);
        for (i64 r = 0; r < rows; r++) {
            result = ADD_WITH_LOSS(result, LD(x, from + r * x_row), &lost);
        }
        result += lost;
#else
        real result = NEG_INF;
        for (i64 r = 0; r < rows; r++) {
            result = FMAX(result, LD(x, from + r * x_row));
        }
#endif
        ST(y, e / columns * y_outer + e % columns * y_column, result);
    }
}
