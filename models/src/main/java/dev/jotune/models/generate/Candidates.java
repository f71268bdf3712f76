package dev.jotune.models.generate;

/** The likeliest continuations of several beams, best first; of equals, those of the earlier beam and lower id. */
final class Candidates {

    private final int[] beams;
    private final int[] tokens;
    private final double[] scores;
    private int size;

    Candidates(int most) {
        beams = new int[most];
        tokens = new int[most];
        scores = new double[most];
    }

    void clear() {
        size = 0;
    }

    int size() {
        return size;
    }

    int beam(int i) {
        return beams[i];
    }

    int token(int i) {
        return tokens[i];
    }

    /** The summed log-probability. */
    double score(int i) {
        return scores[i];
    }

    /** Considers every token after a beam of some score; those of negative infinity are none. */
    void offer(int beam, double score, float[] logProbabilities) {
        for (int token = 0; token < logProbabilities.length; token++) {
            double sum = score + logProbabilities[token];
            if (sum == Double.NEGATIVE_INFINITY || size == scores.length && sum <= scores[size - 1]) {
                continue;
            }
            int at = size < scores.length ? size++ : size - 1;
            while (at > 0 && scores[at - 1] < sum) {
                beams[at] = beams[at - 1];
                tokens[at] = tokens[at - 1];
                scores[at] = scores[at - 1];
                at--;
            }
            beams[at] = beam;
            tokens[at] = token;
            scores[at] = sum;
        }
    }
}
