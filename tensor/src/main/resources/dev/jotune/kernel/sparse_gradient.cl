/*
 * The gradient of a sparse matrix's numbers: y[k] = dy[row k, :] . x[column k, :], rows of m numbers. A group makes a number: its
 * items take turns along the rows, and their sums are joined in an order that depends on nothing. 2 m numbers operations for
 * 8 m numbers bytes; rows that many entries share come from the cache.
 *
 * places   the row of each number, then the column of each
 */
KERNEL {
    SHM real part[GROUP];
    for (i64 k = BIDX; k < numbers; k += GRIDX) {
        i64 left = places[k] * m;
        i64 right = places[numbers + k] * m;
        real sum = R(0.0);
        for (i64 at = LID; at < m; at += GROUP) {
            sum = FMA(LD(dy, left + at), LD(x, right + at), sum);
        }
        sum = GROUP_SUM(sum, part);
        if (LID == 0) {
            ST(y, k, sum);
        }
    }
}
