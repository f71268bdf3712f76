/*
 * The embeddings of the tokens that `state` names, so that a recorded step serves every token. Group (x, y) takes a share of row y's
 * numbers; reads and writes each once.
 */
KERNEL {
    i64 from = state[STATE * BIDY] * hidden;
    for (i64 i = (i64)BIDX * GROUP + LID; i < hidden; i += (i64)GRIDX * GROUP) {
        ST(x, BIDY * hidden + i, LD(table, from + i) * scale);
    }
}
