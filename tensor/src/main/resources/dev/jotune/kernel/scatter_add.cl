/*
 * table[id, :] += the rows that go there, in the order of their numbers, whatever else runs: no atomics, so the same bits every time.
 *
 * The host sorted the ids (stably) into `plan`: first the `targets` different ids, then targets + 1 places where each one's run of
 * row numbers begins, then the row numbers. A group takes a target, an item a column, and adds its run in order.
 */
KERNEL {
    for (i64 t = BIDX; t < targets; t += GRIDX) {
        i64 first = plan[targets + t];
        i64 end = plan[targets + t + 1];
        for (i64 c = LID; c < width; c += GROUP) {
            i64 at = plan[t] * table_row + c * table_column;
            real sum = LD(table, at);
            for (i64 i = first; i < end; i++) {
                sum += LD(added, plan[2 * targets + 1 + i] * added_row + c * added_column);
            }
            ST(table, at, sum);
        }
    }
}
