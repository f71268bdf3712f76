package dev.jotune.autograd.ops;

import dev.jotune.autograd.Var;

/**
 * An activation function that is learnt: a quotient of polynomials whose denominator is 1 or more (Molina et al., Pade
 * Activation Units, arXiv 1907.06732).
 */
public final class Rational {
    /** a_0 .. a_6 and b_1 .. b_5 of {@link #apply} that stay within 0.0007 of GELU on [-3, 3] and 0.002 on [-4, 4]: a least-squares fit. */
    private static final double[] GELU_NUMERATOR = {-0.00023244, 0.49987, 0.44022, 0.24722, 0.11296, 0.028791, 0.0027771};
    private static final double[] GELU_DENOMINATOR = {0.080557, 0.42875, 0.015885, 0.057128, -0.00016999};

    private Rational() {}

    /** The numerator's coefficients, constant first, that make {@link #apply} nearly GELU. */
    public static double[] geluNumerator() {
        return GELU_NUMERATOR.clone();
    }

    /** The denominator's, of x first. */
    public static double[] geluDenominator() {
        return GELU_DENOMINATOR.clone();
    }

    /**
     * {@code sum_j a_j x^j / (1 + |sum_j b_j x^j|)}, j from 0 above and from 1 below the line.
     *
     * @param numerator {@code [m + 1]}, a_0 first
     * @param denominator {@code [n]}, b_1 first
     */
    public static Var apply(Var x, Var numerator, Var denominator) {
        Var below = polynomial(x, denominator).mul(x);
        Var size = Activations.relu(below).add(Activations.relu(below.neg()));
        return polynomial(x, numerator).div(size.add(1));
    }

    /** By Horner's rule. */
    private static Var polynomial(Var x, Var c) {
        int last = Math.toIntExact(c.size(0)) - 1;
        Var sum = c.slice(0, last, last + 1).expandTo(x.shape());
        for (int j = last - 1; j >= 0; j--) {
            sum = sum.mul(x).add(c.slice(0, j, j + 1));
        }
        return sum;
    }
}
