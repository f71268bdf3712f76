/*
 * Joins what linear_cross_entropy.cu made of splits parts of a vocabulary: log-sum-exps of rows. An item takes a row; 8 splits + 4 bytes
 * a row.
 */
KERNEL {
    int m = BIDX * GROUP + LID;
    if (m < rows) {
        float top = NEG_INF;
        for (int s = 0; s < splits; s++) {
            top = FMAX(top, most[(i64)s * rows + m]);
        }
        float all = 0.0f;
        for (int s = 0; s < splits; s++) {
            /* A part in which nothing is finite adds nothing. */
            float part = most[(i64)s * rows + m];
            all += part == NEG_INF ? 0.0f : total[(i64)s * rows + m] * EXP(part - top);
        }
        lse[m] = all == 0.0f ? NEG_INF : top + LOG(all);
    }
}
