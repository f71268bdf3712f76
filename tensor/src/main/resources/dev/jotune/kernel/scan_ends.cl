/*
 * Where each chunk of a scan would end if it began from nothing, and the sum of its step sizes. Forward: the states, from the input
 * x and the map B. BACKWARD: the gradients by the state before the chunk, from the input dy and the map C, last step first.
 *
 * Chunk c leaves its end where the next chunk of the walk reads it, and the last one of the walk is left out: nobody reads its end.
 * A step costs an exponential and reads two reals of its channel, which the STATES items of a channel share, and one of its state.
 */
INCLUDE scan.h

KERNEL {
    i64 tasks = batch * (chunks - 1) * BLOCKS;
    for (i64 task = BIDX; task < tasks; task += GRIDX) {
        i64 row = task / BLOCKS / (chunks - 1);
        i64 chunk = task / BLOCKS % (chunks - 1) + BACKWARD;
        i64 e = task % BLOCKS * CHANNELS + CHANNEL;
        if (e < channels) {
            i64 first = chunk * CHUNK;
            int count = (int)(time - first < CHUNK ? time - first : CHUNK);
            real rate = LD(a, e * STATES + STATE);
            real end = R(0.0);
            real total = R(0.0);
            for (int s = 0; s < count; s++) {
                i64 step = row * time + first + (BACKWARD ? count - 1 - s : s);
                real delta = LD(dt, step * channels + e);
                real in = LD(input, step * channels + e) * LD(map, step * STATES + STATE);
                end = BACKWARD ? EXP(delta * rate) * (end + in) : FMA(EXP(delta * rate), end, delta * in);
                total += delta;
            }
            i64 next = row * chunks + chunk + (BACKWARD ? -1 : 1);
            ST(ends, (next * channels + e) * STATES + STATE, end);
            if (STATE == 0) {
                ST(totals, (row * chunks + chunk) * channels + e, total);
            }
        }
    }
}
