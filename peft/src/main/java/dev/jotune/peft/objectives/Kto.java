package dev.jotune.peft.objectives;

import dev.jotune.autograd.Var;
import dev.jotune.autograd.ops.Activations;

/**
 * Kahneman-Tversky optimisation (arXiv 2402.01306, equation 8), each answer on its own:
 * {@code d (1 - s(beta (r_w - z)))} and {@code u (1 - s(beta (z - r_l)))}, r the log-ratio to the reference and
 * {@code z = max(0, mean(kl))} without gradient. A pair's loss is the mean of its two.
 */
public record Kto(double beta, double desirable, double undesirable) {
    public Kto {
        PreferenceTerms.checkBeta(beta);
        PreferenceTerms.checkWeight("the weight of desirable answers", desirable);
        PreferenceTerms.checkWeight("the weight of undesirable answers", undesirable);
    }

    /**
     * The losses of all answers {@code [2 N]}, the chosen ones first.
     *
     * @param kl {@code [N]}: log-ratios of answers to other prompts, from which z is estimated
     */
    public Var apply(PreferenceLoss.Answers w, PreferenceLoss.Answers l, Var kl) {
        double z = Math.max(0, kl.detach().mean().item());
        Var good = Activations.sigmoid(w.reward().add(-z).mul(-beta)).mul(desirable);
        Var bad = Activations.sigmoid(l.reward().add(-z).mul(beta)).mul(undesirable);
        return Var.concat(0, good, bad);
    }
}
