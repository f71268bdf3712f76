/*
 * y = S x for a sparse matrix S [rows, columns] and x [columns, m]: y[r, :] is the sum over the entries of row r of their number
 * times the row of x that their column names, in the order of the entries.
 *
 * An item makes an element, neighbours have neighbours of m: an entry is read once for all of them, and a row of x in one piece.
 * 2 m numbers operations for 4 m (numbers + rows) + 12 numbers bytes: reading x is the bound.
 *
 * walk   where each row's entries begin and the last one's end; then the column of each entry; then which of the values it is
 */
KERNEL {
    GLB const int* column = walk + rows + 1;
    GLB const int* number = column + numbers;
    for (i64 e = (i64)BIDX * GROUP + LID; e < rows * m; e += (i64)GRIDX * GROUP) {
        i64 row = e / m;
        i64 place = e % m;
        int end = walk[row + 1];
        real sum = R(0.0);
        for (int k = walk[row]; k < end; k++) {
            sum = FMA(LD(values, number[k]), LD(x, column[k] * m + place), sum);
        }
        ST(y, e, sum);
    }
}
