package dev.jotune.peft.weights;

import java.util.List;

/**
 * TIES-Merging (Yadav et al., arXiv 2306.01708), section 4.2. Trim: of each task vector the share {@code density} that is largest
 * in magnitude stays. Elect: {@code gamma = sgn(sum of tau_i)}, element by element; 0 counts as +. Merge: the mean over those
 * {@code A = {i : sgn(tau_i) = gamma}} that agree.
 *
 * <p>With weights w the paper leaves two readings. {@link Form#WEIGHTED}: {@code tau_i} is {@code w_i tau_i} when signs are elected,
 * and the mean is {@code sum_A w_i tau_i / sum_A |w_i|}. {@link Form#COUNTED}, PEFT's: signs are elected without the weights, and the mean is
 * {@code sum_A w_i tau_i / |A|}. With weights of 1 both are the paper.
 *
 * @param density share of the numbers that stay, in [0, 1]
 * @param election by the sum of the numbers or by how many have a sign
 * @param form how weights count
 */
public record Ties(double density, Election election, Form form) implements Combination {
    /** What elects a sign. */
    public enum Election {
        /** The larger sum, as in the paper. */
        TOTAL,
        /** The larger number of vectors. */
        FREQUENCY
    }

    /** How weights count. */
    public enum Form { WEIGHTED, COUNTED }

    public Ties {
        Largest.checkShare(density);
    }

    @Override
    public Values of(List<Values> vectors, double[] weights, long stream) {
        return Values.map(MagnitudePrune.trim(vectors, density), (from, n, in, out) -> {
            double[] column = new double[in.length];
            for (int i = 0; i < n; i++) {
                for (int k = 0; k < in.length; k++) {
                    column[k] = in[k][i];
                }
                out[i] = merged(column, weights);
            }
        });
    }

    private double merged(double[] tau, double[] weights) {
        double sign = elect(tau, weights) >= 0 ? 1 : -1;
        double sum = 0;
        double share = 0;
        for (int k = 0; k < tau.length; k++) {
            if (Math.signum(form == Form.WEIGHTED ? weights[k] * tau[k] : tau[k]) == sign) {
                sum += weights[k] * tau[k];
                share += form == Form.WEIGHTED ? Math.abs(weights[k]) : 1;
            }
        }
        return share == 0 ? sum : sum / share;
    }

    private double elect(double[] tau, double[] weights) {
        double sum = 0;
        for (int k = 0; k < tau.length; k++) {
            double t = form == Form.WEIGHTED ? weights[k] * tau[k] : tau[k];
            sum += election == Election.TOTAL ? t : Math.signum(t);
        }
        return sum;
    }
}
