package dev.jotune.peft.objectives;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import java.util.Optional;

/**
 * Losses of pairs of answers, one preferred to the other, as functions of their log-probabilities. With w the chosen answer,
 * l the rejected one, {@code s} the logistic function and {@code h = log p(w) - log p_ref(w) - (log p(l) - log p_ref(l))}.
 */
public sealed interface PreferenceLoss permits PreferenceLoss.Dpo, PreferenceLoss.RobustDpo, PreferenceLoss.Hinge, PreferenceLoss.Ipo,
        ReferenceFreeLoss {
    /**
     * The answers of N pairs on one side.
     *
     * @param policy {@code [N]}: log-probabilities, of whole answers or a token's mean as {@link #averages} says
     * @param reference {@code [N]}, the same under the reference, for losses that use it
     * @param nll {@code [N]}, a token's mean negative log-likelihood
     */
    record Answers(Var policy, Optional<Var> reference, Var nll) {
        /** {@code log p - log p_ref}. */
        Var reward() {
            return policy.sub(reference.orElseThrow(() -> new IllegalArgumentException(
                    "the reference's log-probabilities are missing. Give them: this loss compares with a reference.")));
        }
    }

    /** The loss of each pair, {@code [N]}. */
    Var apply(Answers chosen, Answers rejected);

    /** Whether log-probabilities are divided by the number of tokens. */
    default boolean averages() {
        return false;
    }

    /** Whether answers are compared with a reference. */
    default boolean usesReference() {
        return true;
    }

    private static Var margin(Answers w, Answers l) {
        return w.reward().sub(l.reward());
    }

    /**
     * Direct preference optimisation (Rafailov et al., arXiv 2305.18290, equation 7): {@code -log s(beta h)}; smoothed, it is
     * conservative DPO: {@code -(1 - e) log s(beta h) - e log s(-beta h)}.
     */
    record Dpo(double beta, double smoothing) implements PreferenceLoss {
        public Dpo {
            PreferenceTerms.checkBeta(beta);
            PreferenceTerms.checkSmoothing(smoothing);
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return PreferenceTerms.smoothed(margin(w, l).mul(beta), smoothing);
        }
    }

    /** Robust DPO (arXiv 2403.00409): {@code (-(1 - e) log s(beta h) + e log s(-beta h)) / (1 - 2 e)}. */
    record RobustDpo(double beta, double smoothing) implements PreferenceLoss {
        public RobustDpo {
            PreferenceTerms.checkBeta(beta);
            PreferenceTerms.checkSmoothing(smoothing);
        }

        @Override
        public Var apply(Answers w, Answers l) {
            Var x = margin(w, l).mul(beta);
            Var loss = Activations.logSigmoid(x).mul(smoothing - 1).addScaled(Activations.logSigmoid(x.neg()), smoothing);
            return loss.mul(1 / (1 - 2 * smoothing));
        }
    }

    /** SLiC's hinge (arXiv 2305.10425) on DPO's margin: {@code max(0, 1 - beta h)}. */
    record Hinge(double beta) implements PreferenceLoss {
        public Hinge {
            PreferenceTerms.checkBeta(beta);
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return Activations.relu(margin(w, l).mul(-beta).add(1));
        }
    }

    /** Identity preference optimisation (arXiv 2310.12036, equation 17): {@code (h - 1 / (2 beta))^2}, of means a token. */
    record Ipo(double beta) implements PreferenceLoss {
        public Ipo {
            PreferenceTerms.checkBeta(beta);
        }

        @Override
        public boolean averages() {
            return true;
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return margin(w, l).add(-1 / (2 * beta)).square();
        }
    }
}
