package dev.jotune.peft.weights;

import java.util.Arrays;

/**
 * A vector of -s, 0 and +s as two bit planes. What is done with such vectors again and again, inner products and distances, is
 * ANDs and bit counts of 64 numbers at a time.
 *
 * @param size how many numbers
 * @param scale s
 * @param positive a bit for every +s, the first number in the lowest bit
 * @param negative a bit for every -s
 */
public record Ternary(long size, double scale, long[] positive, long[] negative) {
    /** The signs of those numbers of {@code tau} that {@code chosen} contains; a zero has none. */
    public static Ternary of(Values tau, Largest chosen, double scale) {
        int words = Math.toIntExact((tau.size() + Long.SIZE - 1) / Long.SIZE);
        long[] positive = new long[words];
        long[] negative = new long[words];
        tau.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                if (run[i] != 0 && chosen.contains(run[i], from + i)) {
                    (run[i] > 0 ? positive : negative)[(int) ((from + i) / Long.SIZE)] |= 1L << (from + i);
                }
            }
        });
        return new Ternary(tau.size(), scale, positive, negative);
    }

    /** How many numbers are not zero. */
    public long nonZero() {
        return Arrays.stream(positive).map(Long::bitCount).sum() + Arrays.stream(negative).map(Long::bitCount).sum();
    }

    /** The same signs under another scale. */
    public Ternary withScale(double s) {
        return new Ternary(size, s, positive, negative);
    }

    /** -1, 0 or 1. */
    public int sign(long place) {
        int word = (int) (place / Long.SIZE);
        return (int) (positive[word] >>> place & 1) - (int) (negative[word] >>> place & 1);
    }

    /** The numbers. */
    public Values values() {
        return new Values() {
            @Override
            public long size() {
                return size;
            }

            @Override
            public void read(long from, int n, double[] out) {
                for (int i = 0; i < n; i++) {
                    out[i] = scale * sign(from + i);
                }
            }
        };
    }

    /** {@code s t (agreeing signs - opposite signs)}. */
    public double dot(Ternary other) {
        if (size != other.size) {
            throw new IllegalArgumentException("a vector of " + size + " numbers meets one of " + other.size + ". Compare those of one model.");
        }
        long sum = 0;
        for (int i = 0; i < positive.length; i++) {
            sum += Long.bitCount(positive[i] & other.positive[i]) + Long.bitCount(negative[i] & other.negative[i])
                    - Long.bitCount(positive[i] & other.negative[i]) - Long.bitCount(negative[i] & other.positive[i]);
        }
        return scale * other.scale * sum;
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Ternary t && size == t.size && scale == t.scale && Arrays.equals(positive, t.positive)
                && Arrays.equals(negative, t.negative);
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(positive) + Arrays.hashCode(negative);
    }

    @Override
    public String toString() {
        return nonZero() + " of " + size + " numbers are +-" + scale;
    }
}
