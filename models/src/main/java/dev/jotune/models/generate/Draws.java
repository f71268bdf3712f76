package dev.jotune.models.generate;

import dev.jotune.tensor.random.Philox;

/** Where speculative decoding's chances come from; a test puts every outcome in turn in its place. */
interface Draws {

    /** A number with probability in proportion to its weight. */
    int among(double[] weights);

    /** Yes, with a probability. */
    boolean yes(double probability);

    /** The numbers of a seed and a stream, one after the other. */
    static Draws of(long seed, long row) {
        return new Draws() {
            private long count;

            @Override
            public int among(double[] weights) {
                double sum = 0;
                for (double weight : weights) {
                    sum += weight;
                }
                double left = Philox.uniformDouble(seed, row, count++) * sum;
                int last = -1;
                for (int i = 0; i < weights.length; i++) {
                    if (weights[i] > 0) {
                        last = i;
                        left -= weights[i];
                        if (left < 0) {
                            return i;
                        }
                    }
                }
                return last;
            }

            @Override
            public boolean yes(double probability) {
                return Philox.uniformDouble(seed, row, count++) < probability;
            }
        };
    }
}
