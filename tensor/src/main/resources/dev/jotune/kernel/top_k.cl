/*
 * The k largest elements of each of `rows` dense rows of n, largest first, the first of equals first, NaN never; where a row has
 * fewer elements above -infinity, place 0 and -infinity.
 *
 * A group takes a row. Item s looks after the strip of elements s, s + GROUP, ..., and knows the strip's best element that is not
 * out yet. A round finds the best of all strips by a tree, writes it, and then only the strip that it came from is searched again,
 * by all items side by side. So the row is read once (n reals) and then n / GROUP elements of it for each of the k rounds, from the
 * caches, where k full searches would read it k times.
 */
FN int before(real v, int i, real w, int j) {
    return v > w || (v == w && i < j);
}

/* Brings the best pair of all items to place 0. */
FN void best_first(SHP real* value, SHP int* place) {
    BARRIER();
    for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
        if (LID < half_size && before(value[LID + half_size], place[LID + half_size], value[LID], place[LID])) {
            value[LID] = value[LID + half_size];
            place[LID] = place[LID + half_size];
        }
        BARRIER();
    }
}

KERNEL {
    SHM real value[GROUP];
    SHM int place[GROUP];
    for (i64 row = BIDX; row < rows; row += GRIDX) {
        real mine = NEG_INF;
        int at = n;
        for (int i = LID; i < n; i += GROUP) {
            real v = LD(x, row * n + i);
            if (v > mine) {
                mine = v;
                at = i;
            }
        }
        for (int round = 0; round < k; round++) {
            value[LID] = mine;
            place[LID] = at;
            best_first(value, place);
            real top = value[0];
            int winner = place[0];
            BARRIER();
            if (LID == 0) {
                ST(values, row * k + round, top);
                places[row * k + round] = winner == n ? 0 : winner;
            }
            // All items agree on the winner, so all or none go on.
            if (winner == n) {
                continue;
            }
            real next = NEG_INF;
            int next_at = n;
            for (int i = winner % GROUP + LID * GROUP; i < n; i += GROUP * GROUP) {
                real v = LD(x, row * n + i);
                if (before(top, winner, v, i) && v > next) {
                    next = v;
                    next_at = i;
                }
            }
            value[LID] = next;
            place[LID] = next_at;
            best_first(value, place);
            if (LID == winner % GROUP) {
                mine = value[0];
                at = place[0];
            }
            BARRIER();
        }
    }
}
