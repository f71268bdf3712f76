package dev.jotune.peft;

import java.util.Arrays;

/**
 * PyTorch's generator on the CPU, for adapters that store a seed instead of the noise made with it: MT19937 (Matsumoto and
 * Nishimura 1998), of whose numbers a float in [0, 1) takes the lower 24 bits.
 */
public final class TorchRandom {
    private static final int N = 624;
    private static final int M = 397;

    private final int[] state = new int[N];
    private int next = N;

    /** As {@code torch.Generator().manual_seed(seed)}, of whose seeds the lower 32 bits count. */
    public TorchRandom(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < N; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
        }
    }

    /** 32 random bits. */
    public int nextInt() {
        if (next == N) {
            twist();
            next = 0;
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= y << 7 & 0x9d2c5680;
        y ^= y << 15 & 0xefc60000;
        return y ^ y >>> 18;
    }

    private void twist() {
        for (int i = 0; i < N; i++) {
            int y = state[i] & 0x80000000 | state[(i + 1) % N] & 0x7fffffff;
            state[i] = state[(i + M) % N] ^ y >>> 1 ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
        }
    }

    /** As {@code tensor.uniform_(from, to)} fills a float tensor, one number at a time. */
    public float uniform(float from, float to) {
        float x = (nextInt() & 0xffffff) * 0x1p-24f;
        return x * (to - from) + from;
    }

    /** The first {@code count} numbers of {@code torch.randperm(n)}. */
    public long[] permutation(long n, int count) {
        if (n >= 1L << 31) {
            throw new IllegalArgumentException("a permutation of " + n + " numbers was asked for; there may be 2^31 - 1 at most.");
        }
        int[] all = new int[Math.toIntExact(n)];
        Arrays.setAll(all, i -> i);
        for (int i = 0; i < Math.min(count, n - 1); i++) {
            int other = i + (int) (Integer.toUnsignedLong(nextInt()) % (n - i));
            int swapped = all[i];
            all[i] = all[other];
            all[other] = swapped;
        }
        return Arrays.stream(all, 0, count).asLongStream().toArray();
    }
}
