package dev.jotune.models.deberta;

/**
 * The rows of DeBERTa's table of relative positions. Row {@code span + bucket(i - j)} is for the distance from query i
 * to key j, the ends standing for all that is farther.
 *
 * @param span half the rows of the table
 * @param buckets number of buckets on one side; 0 where every distance has a row of its own
 * @param maxPosition the distance of the last bucket
 */
record RelativePositions(int span, int buckets, int maxPosition) {
    /** The row for a distance. */
    int row(int distance) {
        int at = buckets > 0 && maxPosition > 0 ? bucket(distance) : distance;
        return Math.clamp((long) at + span, 0, 2 * span - 1);
    }

    /**
     * Distances up to half the buckets have buckets of their own, larger ones share them logarithmically. The
     * logarithms are rounded to single precision as in the original: at the borders that decides.
     */
    private int bucket(int distance) {
        int mid = buckets / 2;
        int size = Math.abs(distance);
        if (size <= mid) {
            return distance;
        }
        float part = log((float) size / mid) / log((float) (maxPosition - 1) / mid);
        return Integer.signum(distance) * (int) (float) (Math.ceil(part * (mid - 1)) + mid);
    }

    private static float log(float x) {
        return (float) Math.log(x);
    }
}
