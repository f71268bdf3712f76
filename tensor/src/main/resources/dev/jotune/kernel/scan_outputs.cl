/*
 * The outputs of a scan, each chunk from the state before it, and the state after the last step.
 *
 * A sum over the states of a channel is a sum over items: SPAN steps leave their products in shared memory (SPAN times the group,
 * 8 KB), then each item adds up STATES of them for a step and a channel. So the group waits twice in SPAN steps.
 */
INCLUDE scan.h

KERNEL {
    SHM real products[SPAN * STEP_SIZE];
    for (i64 task = BIDX; task < batch * chunks * BLOCKS; task += GRIDX) {
        i64 row = task / BLOCKS / chunks;
        i64 chunk = task / BLOCKS % chunks;
        i64 block = task % BLOCKS * CHANNELS;
        i64 e = block + CHANNEL;
        int alive = e < channels;
        real rate = alive ? LD(a, e * STATES + STATE) : R(0.0);
        real h = alive ? LD(starts, ((row * chunks + chunk) * channels + e) * STATES + STATE) : R(0.0);
        i64 end = chunk * CHUNK + CHUNK < time ? chunk * CHUNK + CHUNK : time;
        for (i64 first = chunk * CHUNK; first < end; first += SPAN) {
            int count = (int)(end - first < SPAN ? end - first : SPAN);
            for (int s = 0; s < count && alive; s++) {
                i64 step = row * time + first + s;
                real delta = LD(dt, step * channels + e);
                real u = delta * LD(x, step * channels + e);
                h = FMA(EXP(delta * rate), h, u * LD(b, step * STATES + STATE));
                products[s * STEP_SIZE + CHANNEL * ROW + STATE] = h * LD(c, step * STATES + STATE);
            }
            BARRIER();
            for (int o = LID; o < count * CHANNELS; o += GROUP) {
                i64 step = row * time + first + o / CHANNELS;
                i64 channel = block + o % CHANNELS;
                if (channel < channels) {
                    real sum = R(0.0);
                    for (int i = 0; i < STATES; i++) {
                        sum += products[o / CHANNELS * STEP_SIZE + o % CHANNELS * ROW + i];
                    }
                    sum = FMA(LD(d, channel), LD(x, step * channels + channel), sum);
                    ST(y, step * channels + channel, sum);
                }
            }
            BARRIER();
        }
        if (alive && chunk == chunks - 1) {
            ST(last, (row * channels + e) * STATES + STATE, h);
        }
    }
}
