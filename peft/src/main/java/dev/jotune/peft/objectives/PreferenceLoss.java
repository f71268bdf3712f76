package dev.jotune.peft.objectives;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;
import java.util.Optional;

/**
 * Losses of pairs of answers, one preferred to the other, as functions of their log-probabilities. With w the chosen answer,
 * l the rejected one, {@code s} the logistic function and {@code h = log p(w) - log p_ref(w) - (log p(l) - log p_ref(l))}.
 */
public sealed interface PreferenceLoss {
    /**
     * The answers of N pairs on one side.
     *
     * @param policy {@code [N]}: log-probabilities, of whole answers or a token's mean as {@link #averages} says
     * @param reference {@code [N]}, the same under the reference, for losses that use it
     * @param nll {@code [N]}, a token's mean negative log-likelihood
     */
    record Answers(Var policy, Optional<Var> reference, Var nll) {
        private Var reward() {
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

    /** {@code -(1 - e) log s(x) - e log s(-x)}. */
    private static Var smoothed(Var x, double e) {
        Var loss = Activations.logSigmoid(x).mul(e - 1);
        return e == 0 ? loss : loss.sub(Activations.logSigmoid(x.neg()).mul(e));
    }

    private static void check(boolean good, String name, double value, String wanted) {
        if (!good) {
            throw new IllegalArgumentException(name + " is " + value + ". It must be " + wanted + ".");
        }
    }

    private static void checkBeta(double beta) {
        check(beta > 0 && Double.isFinite(beta), "beta", beta, "a number above 0");
    }

    private static void checkSmoothing(double e) {
        check(e >= 0 && e < 0.5, "label smoothing", e, "in [0, 0.5)");
    }

    private static void checkWeight(String name, double weight) {
        check(weight >= 0 && Double.isFinite(weight), name, weight, "a number of 0 or more");
    }

    /**
     * Direct preference optimisation (Rafailov et al., arXiv 2305.18290, equation 7): {@code -log s(beta h)}; smoothed, it is
     * conservative DPO: {@code -(1 - e) log s(beta h) - e log s(-beta h)}.
     */
    record Dpo(double beta, double smoothing) implements PreferenceLoss {
        public Dpo {
            checkBeta(beta);
            checkSmoothing(smoothing);
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return smoothed(margin(w, l).mul(beta), smoothing);
        }
    }

    /** Robust DPO (arXiv 2403.00409): {@code (-(1 - e) log s(beta h) + e log s(-beta h)) / (1 - 2 e)}. */
    record RobustDpo(double beta, double smoothing) implements PreferenceLoss {
        public RobustDpo {
            checkBeta(beta);
            checkSmoothing(smoothing);
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
            checkBeta(beta);
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return Activations.relu(margin(w, l).mul(-beta).add(1));
        }
    }

    /** Identity preference optimisation (arXiv 2310.12036, equation 17): {@code (h - 1 / (2 beta))^2}, of means a token. */
    record Ipo(double beta) implements PreferenceLoss {
        public Ipo {
            checkBeta(beta);
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

    /**
     * Odds ratio preference optimisation (arXiv 2403.07691, equations 6 and 7), of means a token:
     * {@code nll - weight log s(log odds(w) - log odds(l))}, {@code odds = p / (1 - p)}.
     */
    record Orpo(double weight) implements PreferenceLoss {
        public Orpo {
            checkWeight("weight", weight);
        }

        @Override
        public boolean averages() {
            return true;
        }

        @Override
        public boolean usesReference() {
            return false;
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
    record SimPo(double beta, double gamma, double smoothing) implements PreferenceLoss {
        public SimPo {
            checkBeta(beta);
            checkWeight("gamma", gamma);
            checkSmoothing(smoothing);
        }

        @Override
        public boolean averages() {
            return true;
        }

        @Override
        public boolean usesReference() {
            return false;
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return smoothed(w.policy().sub(l.policy()).mul(beta).add(-gamma), smoothing);
        }
    }

    /** Contrastive preference optimisation (arXiv 2401.08417): {@code -log s(beta (w - l)) + weight nll}. */
    record Cpo(double beta, double weight) implements PreferenceLoss {
        public Cpo {
            checkBeta(beta);
            checkWeight("weight", weight);
        }

        @Override
        public boolean usesReference() {
            return false;
        }

        @Override
        public Var apply(Answers w, Answers l) {
            return smoothed(w.policy().sub(l.policy()).mul(beta), 0).addScaled(w.nll(), weight);
        }
    }

    /**
     * Kahneman-Tversky optimisation (arXiv 2402.01306, equation 8), each answer on its own:
     * {@code d (1 - s(beta (r_w - z)))} and {@code u (1 - s(beta (z - r_l)))}, r the log-ratio to the reference and
     * {@code z = max(0, mean(kl))} without gradient. A pair's loss is the mean of its two.
     */
    record Kto(double beta, double desirable, double undesirable) {
        public Kto {
            checkBeta(beta);
            checkWeight("the weight of desirable answers", desirable);
            checkWeight("the weight of undesirable answers", undesirable);
        }

        /**
         * The losses of all answers {@code [2 N]}, the chosen ones first.
         *
         * @param kl {@code [N]}: log-ratios of answers to other prompts, from which z is estimated
         */
        public Var apply(Answers w, Answers l, Var kl) {
            double z = Math.max(0, kl.detach().mean().item());
            Var good = Activations.sigmoid(w.reward().add(-z).mul(-beta)).mul(desirable);
            Var bad = Activations.sigmoid(l.reward().add(-z).mul(beta)).mul(undesirable);
            return Var.concat(0, good, bad);
        }
    }
}
