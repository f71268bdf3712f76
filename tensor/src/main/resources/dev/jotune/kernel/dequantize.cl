/*
 * Rows from .. of a quantised weight, widened: out [count, inner], dense. Bytes of the codes in, inner count numbers out; the
 * bound is writing them. WIDTH numbers an item: 4 where rows are made of fours, else 1.
 */
KERNEL {
    int row_items = inner / WIDTH;
    for (i64 item = (i64)BIDX * GROUP + LID; item < (i64)count * row_items; item += (i64)GRIDX * GROUP) {
        int row = (int)(item / row_items);
        int k = (int)(item % row_items) * WIDTH;
        i64 place = (i64)row * inner + k;
#if WIDTH == 4
        real4 v = WIDEN4(from + row, k);
        ST(out, place, v.x);
        ST(out, place + 1, v.y);
        ST(out, place + 2, v.z);
        ST(out, place + 3, v.w);
#else
        ST(out, place, WIDEN(from + row, k));
#endif
    }
}
