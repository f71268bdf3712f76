/*
 * The place of the largest element of each of `rows` dense rows of n, the first of equals; 0 if nothing is above -infinity.
 *
 * A group takes a row. Each item walks every GROUP-th element and keeps the first largest; a tree in shared memory then
 * compares items, the smaller place winning among equals. Reads n reals a row, once.
 */
KERNEL {
    SHM real best[GROUP];
    SHM i64 where[GROUP];
    for (i64 row = BIDX; row < rows; row += GRIDX) {
        real top = NEG_INF;
        i64 at = n;
        for (i64 i = LID; i < n; i += GROUP) {
            real v = LD(x, row * n + i);
            if (v > top) {
                top = v;
                at = i;
            }
        }
        best[LID] = top;
        where[LID] = at;
        BARRIER();
        for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
            if (LID < half_size) {
                real v = best[LID + half_size];
                i64 place_of_v = where[LID + half_size];
                if (v > best[LID] || (v == best[LID] && place_of_v < where[LID])) {
                    best[LID] = v;
                    where[LID] = place_of_v;
                }
            }
            BARRIER();
        }
        if (LID == 0) {
            place[row] = where[0] == n ? 0 : where[0];
        }
        BARRIER();
    }
}
