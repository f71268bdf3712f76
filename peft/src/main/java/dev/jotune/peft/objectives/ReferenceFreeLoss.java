package dev.jotune.peft.objectives;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;

/** Losses of pairs under the policy alone, without a reference; letters as in {@link PreferenceLoss}. */
public sealed interface ReferenceFreeLoss extends PreferenceLoss {
    @Override
    default boolean usesReference() {
        return false;
    }

    /**
     * Odds ratio preference optimisation (arXiv 2403.07691, equations 6 and 7), of means a token:
     * {@code nll - weight log s(log odds(w) - log odds(l))}, {@code odds = p / (1 - p)}.
     */
    record Orpo(double weight) implements ReferenceFreeLoss {
        public Orpo {
            PreferenceTerms.checkWeight("weight", weight);
        }

        @Override
        public boolean averages() {
            return true;
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return w.nll().sub(Activations.logSigmoid(logOdds(w.policy()).sub(logOdds(l.policy()))).mul(weight));
        }

        private static Var logOdds(Var logP) {
            return logP.sub(PolicyLoss.log1mExp(logP));
        }
    }

    /** SimPO (arXiv 2405.14734, equation 6), of means a token: {@code -log s(beta (w - l) - gamma)}, smoothed as DPO. */
    record SimPo(double beta, double gamma, double smoothing) implements ReferenceFreeLoss {
        public SimPo {
            PreferenceTerms.checkBeta(beta);
            PreferenceTerms.checkWeight("gamma", gamma);
            PreferenceTerms.checkSmoothing(smoothing);
        }

        @Override
        public boolean averages() {
            return true;
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return PreferenceTerms.smoothed(w.policy().sub(l.policy()).mul(beta).add(-gamma), smoothing);
        }
    }

    /** Contrastive preference optimisation (arXiv 2401.08417): {@code -log s(beta (w - l)) + weight nll}. */
    record Cpo(double beta, double weight) implements ReferenceFreeLoss {
        public Cpo {
            PreferenceTerms.checkBeta(beta);
            PreferenceTerms.checkWeight("weight", weight);
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return PreferenceTerms.smoothed(w.policy().sub(l.policy()).mul(beta), 0).addScaled(w.nll(), weight);
        }
    }
}
