package dev.jotune.tensor.random;

/**
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
 * as 1, 2, 3" (SC'11): a keyed bijection of 128-bit counters, ten rounds. A number is a pure function of
 * (seed, stream, index), so the noise of a tensor can be made again anywhere, in any order and in any part.
 *
 * <p>Who carries what, in 32-bit words, low before high:
 *
 * <table><caption>Words of a block</caption>
 * <tr><td>key 0, 1</td><td>seed</td></tr>
 * <tr><td>counter 0, 1</td><td>block number</td></tr>
 * <tr><td>counter 2, 3</td><td>stream: one per tensor, step or purpose, chosen by the caller</td></tr>
 * </table>
 *
 * <p>A block is four output words w0..w3. Element i takes
 * <ul>
 * <li>as a float: word i mod 4 of block i div 4; the upper 24 bits times 2^-24;</li>
 * <li>as a double, or as 64 bits: words 2 (i mod 2) (low half) and 2 (i mod 2) + 1 (high half) of block i div 2;
 *     the upper 53 bits times 2^-53;</li>
 * <li>as a normal number: block i div 2, whose two doubles u0 and u1 go through Box-Muller,
 *     {@code sqrt(-2 ln(1 - u0))} times {@code cos(2 pi u1)} for even i and {@code sin(2 pi u1)} for odd i, in
 *     the arithmetic of {@link BoxMuller};</li>
 * <li>as a bounded number: see {@link #nextInt}.</li>
 * </ul>
 * Different kinds of numbers of one stream share bits: give each use a stream of its own. Indices are unsigned.
 */
public final class Philox {

    private static final int ROUNDS = 10;
    private static final long MULTIPLIER_0 = 0xD2511F53L;
    private static final long MULTIPLIER_1 = 0xCD9E8D57L;
    /** The key's increments a round: the golden ratio and the root of three less one, in 32 bits. */
    private static final int WEYL_0 = 0x9E3779B9;
    private static final int WEYL_1 = 0xBB67AE85;
    private static final long WORD = 0xFFFFFFFFL;

    private static final float FLOAT_UNIT = 0x1p-24f;
    private static final double DOUBLE_UNIT = 0x1p-53;

    private Philox() {
    }

    /**
     * One block: four words for a key and a counter.
     *
     * @param key         key words 0 (low half) and 1
     * @param counterLow  counter words 0 (low half) and 1
     * @param counterHigh counter words 2 (low half) and 3
     * @param out         takes the four words
     */
    public static void block(long key, long counterLow, long counterHigh, int[] out) {
        int k0 = (int) key;
        int k1 = (int) (key >>> Integer.SIZE);
        int c0 = (int) counterLow;
        int c1 = (int) (counterLow >>> Integer.SIZE);
        int c2 = (int) counterHigh;
        int c3 = (int) (counterHigh >>> Integer.SIZE);
        for (int round = 0; round < ROUNDS; round++) {
            long p0 = MULTIPLIER_0 * (c0 & WORD);
            long p1 = MULTIPLIER_1 * (c2 & WORD);
            c0 = (int) (p1 >>> Integer.SIZE) ^ c1 ^ k0;
            c1 = (int) p1;
            c2 = (int) (p0 >>> Integer.SIZE) ^ c3 ^ k1;
            c3 = (int) p0;
            k0 += WEYL_0;
            k1 += WEYL_1;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
    }

    /** 64 random bits. */
    public static long bits(long seed, long stream, long index) {
        int[] words = new int[4];
        block(seed, index >>> 1, stream, words);
        return pair(words, (int) (index & 1));
    }

    /** Uniform in [0, 1), a multiple of 2^-24. */
    public static float uniform(long seed, long stream, long index) {
        int[] words = new int[4];
        block(seed, index >>> 2, stream, words);
        return toFloat(words[(int) (index & 3)]);
    }

    /** Uniform in [0, 1), a multiple of 2^-53. */
    public static double uniformDouble(long seed, long stream, long index) {
        return toDouble(bits(seed, stream, index));
    }

    /** Standard normal, in double precision; no value exceeds 8.6 in size. */
    public static double normal(long seed, long stream, long index) {
        int[] words = new int[4];
        block(seed, index >>> 1, stream, words);
        double radius = BoxMuller.radius(toDouble(pair(words, 0)));
        double turn = toDouble(pair(words, 1));
        return radius * ((index & 1) == 0 ? BoxMuller.cosTurn(turn) : BoxMuller.sinTurn(turn));
    }

    /**
     * A whole number in [0, bound), every one exactly as likely. Attempt a takes 64 bits of the key
     * {@code seed + a * 0x9E3779B97F4A7C15} at this stream and index, multiplies them with the bound and keeps the
     * upper 64 bits of the product, unless the lower ones fall into the remainder that would favour some results
     * (Lemire, arXiv 1805.10941); a second attempt has a chance below bound / 2^64.
     *
     * @throws IllegalArgumentException if {@code bound} is not positive
     */
    public static long nextLong(long seed, long stream, long index, long bound) {
        if (bound <= 0) {
            throw new IllegalArgumentException("The bound " + bound + " of a random number is not positive. "
                    + "Pass the number of possible results.");
        }
        // 2^64 mod bound, in unsigned arithmetic.
        long remainder = Long.remainderUnsigned(-bound, bound);
        long key = seed;
        while (true) {
            long random = bits(key, stream, index);
            if (Long.compareUnsigned(random * bound, remainder) >= 0) {
                return Math.unsignedMultiplyHigh(random, bound);
            }
            key += 0x9E3779B97F4A7C15L;
        }
    }

    /** Like {@link #nextLong(long, long, long, long)}, for ints. */
    public static int nextInt(long seed, long stream, long index, int bound) {
        return (int) nextLong(seed, stream, index, bound);
    }

    /**
     * The numbers 0 to n - 1 in random order, for shuffling data: Fisher and Yates's shuffle from the back, where
     * the swap of position i draws {@code nextInt(seed, stream, i, i + 1)}.
     */
    public static int[] permutation(long seed, long stream, int n) {
        int[] order = new int[n];
        for (int i = 0; i < n; i++) {
            order[i] = i;
        }
        for (int i = n - 1; i > 0; i--) {
            int j = nextInt(seed, stream, i, i + 1);
            int moved = order[i];
            order[i] = order[j];
            order[j] = moved;
        }
        return order;
    }

    /** Elements {@code firstIndex} and on, as {@link #uniform} gives them one by one. */
    public static void fillUniform(long seed, long stream, long firstIndex, float[] out) {
        int[] words = new int[4];
        for (int i = 0; i < out.length; i++) {
            long index = firstIndex + i;
            if (i == 0 || (index & 3) == 0) {
                block(seed, index >>> 2, stream, words);
            }
            out[i] = toFloat(words[(int) (index & 3)]);
        }
    }

    /** Elements {@code firstIndex} and on, as {@link #normal} gives them one by one. */
    public static void fillNormal(long seed, long stream, long firstIndex, double[] out) {
        int[] words = new int[4];
        double radius = 0;
        double turn = 0;
        for (int i = 0; i < out.length; i++) {
            long index = firstIndex + i;
            if (i == 0 || (index & 1) == 0) {
                block(seed, index >>> 1, stream, words);
                radius = BoxMuller.radius(toDouble(pair(words, 0)));
                turn = toDouble(pair(words, 1));
            }
            out[i] = radius * ((index & 1) == 0 ? BoxMuller.cosTurn(turn) : BoxMuller.sinTurn(turn));
        }
    }

    private static long pair(int[] words, int half) {
        return (words[2 * half] & WORD) | ((long) words[2 * half + 1] << Integer.SIZE);
    }

    private static float toFloat(int word) {
        return (word >>> 8) * FLOAT_UNIT;
    }

    private static double toDouble(long bits) {
        return (bits >>> 11) * DOUBLE_UNIT;
    }
}
