package dev.jotune.tensor.cpu.simd;

/**
 * Sizes of a selective scan, and how its channels are cut into blocks of one vector.
 *
 * @param batch B
 * @param time T
 * @param channels E
 * @param states N, states of a channel
 * @param chunk steps between two kept states
 */
public record ScanShape(int batch, int time, int channels, int states, int chunk) {
    /** A matrix per batch entry and step {@code [B, T, ..]}: strides in elements. */
    public record Operand(long address, long batch, long step, long column) {
        long at(int b, long t, long i) {
            return address + 4 * (b * batch + t * step + i * column);
        }
    }

    int blocks() {
        return (channels + Mem.L - 1) / Mem.L;
    }

    int lanes(int block) {
        return Math.min(Mem.L, channels - block * Mem.L);
    }

    int chunks() {
        return (time + chunk - 1) / chunk;
    }

    int steps(int chunkIndex) {
        return Math.min(chunk, time - chunkIndex * chunk);
    }

    /** Bytes of one vector for each state. */
    int stateBytes() {
        return Mem.LB * states;
    }

    /** The block's rows of a dense {@code [E, N]} as {@code [N][lanes]}, zero beyond the last channel. */
    void packStates(long matrix, int block, long target) {
        Mem.zero(target, stateBytes());
        long from = matrix + 4L * block * Mem.L * states;
        for (int e = 0; e < lanes(block); e++) {
            for (int n = 0; n < states; n++) {
                Mem.f32(target + (long) Mem.LB * n + 4L * e, Mem.f32(from + 4L * (e * states + n)));
            }
        }
    }

    /** The reverse of {@link #packStates}. */
    void unpackStates(long source, int block, long matrix) {
        long to = matrix + 4L * block * Mem.L * states;
        for (int e = 0; e < lanes(block); e++) {
            for (int n = 0; n < states; n++) {
                Mem.f32(to + 4L * (e * states + n), Mem.f32(source + (long) Mem.LB * n + 4L * e));
            }
        }
    }

    /** The block's channels of some steps as {@code [steps][lanes]}, zero beyond the last channel. */
    void packSteps(Operand x, int b, long first, int steps, int block, long target) {
        int lanes = lanes(block);
        if (lanes == Mem.L && x.column() == 1) {
            for (int t = 0; t < steps; t++) {
                Mem.copy(x.at(b, first + t, (long) block * Mem.L), target + (long) Mem.LB * t, Mem.LB);
            }
            return;
        }
        Mem.zero(target, (long) Mem.LB * steps);
        // Channels outermost: what is not dense along channels is usually dense along time.
        for (int e = 0; e < lanes; e++) {
            long from = x.at(b, first, (long) block * Mem.L + e);
            for (int t = 0; t < steps; t++) {
                Mem.f32(target + (long) Mem.LB * t + 4L * e, Mem.f32(from + 4 * t * x.step()));
            }
        }
    }

    /** The reverse of {@link #packSteps}, into a dense {@code [B, T, E]}. */
    void unpackSteps(long source, int b, long first, int steps, int block, long dense) {
        for (int t = 0; t < steps; t++) {
            long row = dense + 4 * (((long) b * time + first + t) * channels + (long) block * Mem.L);
            Mem.copy(source + (long) Mem.LB * t, row, 4L * lanes(block));
        }
    }
}
