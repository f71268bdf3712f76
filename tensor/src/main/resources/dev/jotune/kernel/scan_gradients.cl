/*
 * The gradients of a scan, each chunk from the state before it and the gradient G by the state after it, last step first:
 *
 *     g = G + dy_t C_t            dC_t += dy_t h_t    dB_t += g dt_t x_t        (sums over channels)
 *     G = g exp(dt_t a)           du_t += g B_t       dv_t += G h_(t-1) a       (sums over states)
 *     da += G h_(t-1) dt_t        dx_t = d dy_t + du_t dt_t,   d(dt)_t = du_t x_t + dv_t
 *
 * The states come back SPAN steps at a time, computed again from the start of the chunk and kept in shared memory (SPAN times the
 * group, 16 KB). Sums over states and channels go through shared memory, PAIR steps at a time, as in scan_outputs.cl. A group knows
 * only its channels and its chunk: dB and dC are sums for its block of channels, da and dd for its chunk, each with a place of its
 * own, and a sum over these places follows. So the results do not depend on which group ran first.
 */
INCLUDE scan.h

#define DU 0
#define DV (PAIR * STEP_SIZE)
#define DB (2 * PAIR * STEP_SIZE)
#define DC (3 * PAIR * STEP_SIZE)

KERNEL {
    SHM real history[SPAN * GROUP];
    SHM real terms[4 * PAIR * STEP_SIZE];
    for (i64 task = BIDX; task < batch * chunks * BLOCKS; task += GRIDX) {
        i64 row = task / BLOCKS / chunks;
        i64 chunk = task / BLOCKS % chunks;
        i64 block = task % BLOCKS * CHANNELS;
        i64 e = block + CHANNEL;
        int alive = e < channels;
        i64 state_at = ((row * chunks + chunk) * channels + e) * STATES + STATE;
        real rate = alive ? LD(a, e * STATES + STATE) : R(0.0);
        real start = alive ? LD(starts, state_at) : R(0.0);
        real later = alive ? LD(carries, state_at) : R(0.0);
        real by_rate = R(0.0);
        real by_skip = R(0.0);
        i64 begin = row * time + chunk * CHUNK;
        int steps = (int)(time - chunk * CHUNK < CHUNK ? time - chunk * CHUNK : CHUNK);
        for (int span = (steps - 1) / SPAN * SPAN; span >= 0; span -= SPAN) {
            int span_end = steps < span + SPAN ? steps : span + SPAN;
            real h = start;
            for (int s = 0; s < span_end && alive; s++) {
                i64 step = begin + s;
                if (s >= span) {
                    history[(s - span) * GROUP + LID] = h;
                }
                real delta = LD(dt, step * channels + e);
                real u = delta * LD(x, step * channels + e);
                h = FMA(EXP(delta * rate), h, u * LD(b, step * STATES + STATE));
            }
            for (int pair = span_end - 1; pair >= span; pair -= PAIR) {
                int count = pair - span + 1 < PAIR ? pair - span + 1 : PAIR;
                for (int s = 0; s < count && alive; s++) {
                    i64 step = begin + pair - s;
                    int at = s * STEP_SIZE + CHANNEL * ROW + STATE;
                    real delta = LD(dt, step * channels + e);
                    real in = LD(x, step * channels + e);
                    real up = LD(dy, step * channels + e);
                    real to = LD(b, step * STATES + STATE);
                    real g = FMA(up, LD(c, step * STATES + STATE), later);
                    real earlier = history[(pair - s - span) * GROUP + LID];
                    real decay = EXP(delta * rate);
                    later = g * decay;
                    terms[DU + at] = g * to;
                    terms[DV + at] = later * earlier * rate;
                    terms[DB + at] = g * delta * in;
                    terms[DC + at] = up * FMA(decay, earlier, delta * in * to);
                    by_rate = FMA(later * earlier, delta, by_rate);
                    by_skip = FMA(up, in, by_skip);
                }
                BARRIER();
                for (int o = LID; o < count * CHANNELS; o += GROUP) {
                    i64 step = begin + pair - o / CHANNELS;
                    i64 channel = block + o % CHANNELS;
                    if (channel < channels) {
                        int at = o / CHANNELS * STEP_SIZE + o % CHANNELS * ROW;
                        real du = R(0.0);
                        real dv = R(0.0);
                        for (int i = 0; i < STATES; i++) {
                            du += terms[DU + at + i];
                            dv += terms[DV + at + i];
                        }
                        real delta = LD(dt, step * channels + channel);
                        real in = LD(x, step * channels + channel);
                        real up = LD(dy, step * channels + channel);
                        ST(dx, step * channels + channel, FMA(LD(d, channel), up, du * delta));
                        ST(ddt, step * channels + channel, FMA(du, in, dv));
                    }
                }
                int living = (int)(channels - block < CHANNELS ? channels - block : CHANNELS);
                for (int o = LID; o < count * STATES; o += GROUP) {
                    i64 step = begin + pair - o / STATES;
                    int at = o / STATES * STEP_SIZE + o % STATES;
                    real by_in = R(0.0);
                    real by_out = R(0.0);
                    for (int i = 0; i < living; i++) {
                        by_in += terms[DB + at + i * ROW];
                        by_out += terms[DC + at + i * ROW];
                    }
                    i64 place = (step * BLOCKS + block / CHANNELS) * STATES + o % STATES;
                    ST(db, place, by_in);
                    ST(dc, place, by_out);
                }
                BARRIER();
            }
        }
        if (alive) {
            ST(da, state_at, by_rate);
            if (STATE == 0) {
                ST(dd, (row * chunks + chunk) * channels + e, by_skip);
            }
            if (chunk == 0) {
                ST(dstate, (row * channels + e) * STATES + STATE, later);
            }
        }
    }
}
