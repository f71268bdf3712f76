package dev.jotune.peft.objectives;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;

/** What losses of pairs have in common. */
final class PreferenceTerms {
    private PreferenceTerms() {}

    /** {@code -(1 - e) log s(x) - e log s(-x)}. */
    static Var smoothed(Var x, double e) {
        Var loss = Activations.logSigmoid(x).mul(e - 1);
        return e == 0 ? loss : loss.sub(Activations.logSigmoid(x.neg()).mul(e));
    }

    private static void check(boolean good, String name, double value, String wanted) {
        if (!good) {
            throw new IllegalArgumentException(name + " is " + value + ". It must be " + wanted + ".");
        }
    }

    static void checkBeta(double beta) {
        check(beta > 0 && Double.isFinite(beta), "beta", beta, "a number above 0");
    }

    static void checkSmoothing(double e) {
        check(e >= 0 && e < 0.5, "label smoothing", e, "in [0, 0.5)");
    }

    static void checkWeight(String name, double weight) {
        check(weight >= 0 && Double.isFinite(weight), name, weight, "a number of 0 or more");
    }
}
