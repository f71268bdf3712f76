/*
 * y[i, :] = table[ids[i], :]. An item an element, so neighbours read and write neighbours; moves 2 count width elements.
 * The ids were checked before the launch.
 */
KERNEL {
    for (i64 e = (i64)BIDX * GROUP + LID; e < count * width; e += (i64)GRIDX * GROUP) {
        i64 i = e / width;
        i64 c = e % width;
        ST(y, i * y_row + c * y_column, LD(table, (i64)ids[i] * table_row + c * table_column));
    }
}
