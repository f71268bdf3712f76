/*
 * Joins the chunks of a scan: on entry each chunk but the first of the walk holds what scan_ends.cl left there; on return each
 * holds the state before its first step, or BACKWARD the gradient by the state after its last one, from `start` on.
 *
 * An item walks one state over the chunks, T / CHUNK steps of an exponential, a read and a write.
 */
INCLUDE scan.h

KERNEL {
    i64 states = channels * STATES;
    for (i64 i = (i64)BIDX * GROUP + LID; i < batch * states; i += (i64)GRIDX * GROUP) {
        i64 row = i / states;
        real rate = LD(a, i % states);
        real carried = LD(start, i);
        for (i64 s = 0; s < chunks; s++) {
            i64 chunk = row * chunks + (BACKWARD ? chunks - 1 - s : s);
            i64 at = chunk * states + i % states;
            if (s > 0) {
                i64 before = chunk + (BACKWARD ? 1 : -1);
                carried = FMA(EXP(rate * LD(totals, before * channels + i % states / STATES)), carried, LD(ends, at));
            }
            ST(ends, at, carried);
        }
    }
}
