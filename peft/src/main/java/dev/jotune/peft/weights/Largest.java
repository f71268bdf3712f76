package dev.jotune.peft.weights;

import java.util.List;

/**
 * The k elements of a vector that are largest in magnitude, as a rule that any element can be asked: those above a
 * threshold, and of those that equal it the first ones. Found in four passes over the vector, sixteen bits of the
 * threshold each, in memory that does not depend on the vector's length.
 *
 * @param threshold magnitude of the k-th largest
 * @param lastEqual place of the last element of just that magnitude that belongs to the k
 */
public record Largest(double threshold, long lastEqual) {
    private static final Largest NONE = new Largest(Double.POSITIVE_INFINITY, -1);
    private static final int DIGIT = 16;

    /**
     * The k largest; all if there are fewer.
     *
     * @throws IllegalArgumentException if k is negative, or a number is not finite
     */
    public static Largest of(Values vector, long k) {
        if (k < 0) {
            throw new IllegalArgumentException("cannot keep " + k + " numbers. Give a density of 0 or more.");
        }
        if (k == 0) {
            return NONE;
        }
        // Magnitudes order as their bits do.
        long prefix = 0;
        long rank = Math.min(k, vector.size());
        for (int shift = Long.SIZE - DIGIT; shift >= 0; shift -= DIGIT) {
            long[] counts = counts(vector, prefix, shift);
            int digit = counts.length - 1;
            while (rank > counts[digit]) {
                rank -= counts[digit--];
            }
            prefix |= (long) digit << shift;
        }
        return new Largest(Double.longBitsToDouble(prefix), placeOfEqual(vector, Double.longBitsToDouble(prefix), rank));
    }

    /** As many as {@code density} of all, rounded down. */
    public static Largest share(Values vector, double density) {
        checkShare(density);
        return of(vector, (long) (density * vector.size()));
    }

    /** @throws IllegalArgumentException if {@code density} is no share */
    static void checkShare(double density) {
        if (!(density >= 0 && density <= 1)) {
            throw new IllegalArgumentException("density is " + density + "; it is the share of numbers that are kept, in [0, 1].");
        }
    }

    /** How often each digit follows the prefix. */
    private static long[] counts(Values vector, long prefix, int shift) {
        long[] counts = new long[1 << DIGIT];
        int known = shift + DIGIT;
        vector.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                long bits = Double.doubleToRawLongBits(Math.abs(run[i]));
                if (!Double.isFinite(run[i])) {
                    throw new IllegalArgumentException("number " + (from + i) + " is " + run[i]
                            + ". Its training went wrong: use an earlier checkpoint.");
                }
                if (known == Long.SIZE || bits >>> known == prefix >>> known) {
                    counts[(int) (bits >>> shift) & 0xffff]++;
                }
            }
        });
        return counts;
    }

    private static long placeOfEqual(Values vector, double magnitude, long rank) {
        long[] seen = {0, -1};
        vector.forEachRun((from, n, run) -> {
            for (int i = 0; i < n; i++) {
                if (Math.abs(run[i]) == magnitude && ++seen[0] == rank) {
                    seen[1] = from + i;
                }
            }
        });
        return seen[1];
    }

    /** Whether the element {@code value} at {@code place} is one of them. */
    public boolean contains(double value, long place) {
        double magnitude = Math.abs(value);
        return magnitude > threshold || magnitude == threshold && place <= lastEqual;
    }

    /** The vector with all others set to zero. */
    public Values of(Values vector) {
        return Values.map(List.of(vector), (from, n, in, out) -> {
            for (int i = 0; i < n; i++) {
                out[i] = contains(in[0][i], from + i) ? in[0][i] : 0;
            }
        });
    }
}
