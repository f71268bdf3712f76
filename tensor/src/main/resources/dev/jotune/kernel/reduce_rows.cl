/*
 * y[o, i] = sum or largest of x[o, i, :].
 *
 * A group takes a row; each item walks every GROUP-th element, so neighbours read neighbours, and a tree in shared memory joins
 * the items. Sums carry what rounding lost, which is free beside reading memory: n reals a row, once.
 */
INCLUDE sums.h

KERNEL {
    SHM real part[GROUP];
    SHM real loss[GROUP];
    for (i64 row = BIDX; row < rows; row += GRIDX) {
        i64 from = row / inner * x_outer + row % inner * x_inner;
#if SUM
        real result = R(0.0);
#else
        real result = NEG_INF;
#endif
        real lost = R(0.0);
        for (i64 i = LID; i < n; i += GROUP) {
#if SUM
            result = ADD_WITH_LOSS(result, LD(x, from + i * x_step), &lost);
#else
            result = FMAX(result, LD(x, from + i * x_step));
#endif
        }
        part[LID] = result;
        loss[LID] = lost;
        BARRIER();
        for (int half_size = GROUP / 2; half_size > 0; half_size /= 2) {
            if (LID < half_size) {
#if SUM
                lost = loss[LID] + loss[LID + half_size];
                part[LID] = ADD_WITH_LOSS(part[LID], part[LID + half_size], &lost);
                loss[LID] = lost;
#else
                part[LID] = FMAX(part[LID], part[LID + half_size]);
#endif
            }
            BARRIER();
        }
        if (LID == 0) {
            ST(y, row / inner * y_outer + row % inner * y_inner, part[0] + loss[0]);
        }
        BARRIER();
    }
}
