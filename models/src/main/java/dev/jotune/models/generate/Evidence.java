package dev.jotune.models.generate;

/** What a token's probability under the model of an attribute says for that attribute. */
public enum Evidence {

    /** The probability itself, {@code r = p}: GeDi's (Krause et al., arXiv 2009.06367). */
    PROBABILITY {
        @Override
        double log(double logProbability) {
            return logProbability;
        }
    },

    /**
     * {@code r = -1 / ln p}: Air-Decoding's reconstruction (Zhong et al., arXiv 2310.14892, equation 7). Monotone, but it
     * brings the many unlikely tokens close together, so that a token is no evidence merely because both models find it
     * unlikely and one of them a little more so.
     */
    RECONSTRUCTED {
        @Override
        double log(double logProbability) {
            // A token that is certain to the last digit would be infinite evidence, and two such ones no number.
            return -Math.log(Math.max(-logProbability, LEAST));
        }
    };

    private static final double LEAST = 1e-30;

    /** {@code ln r} of a token with this log-probability. */
    abstract double log(double logProbability);
}
