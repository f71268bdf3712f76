package dev.jotune.peft.decoding;

import static dev.jotune.models.generate.Logits.logProbabilities;

import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.TopP;

/**
 * Emulated fine-tuning (Mitchell et al., arXiv 2310.12962, equation 4): a model's fine-tuning is the reward
 * {@code r = beta ln (p_tuned / p_untuned)} that it optimises, and another size's base is tilted by it, token by token:
 *
 * <pre>ln p~(x) = ln p_base(x) + (1 / beta) (ln p_tuned(x) - ln p_untuned(x)) - ln Z</pre>
 *
 * Base large and pair small is up-scaling, the reverse down-scaling. The result is not divided by Z here: logits need not be.
 * To write fast, let the small tuned model draft ({@link dev.jotune.models.generate.SpeculativeDecoding}): the texts are
 * distributed as without.
 *
 * @param beta how much the reward is worth keeping to the base; 1 in the paper
 * @param topP only tokens in the base's top-p set are tilted, the others keep the base's log-probabilities, so that noise in
 *             the pair's tails stays there (section 4.5); 1 tilts all, 0.95 in the paper's up-scaling
 */
public record EmulatedFineTuning(double beta, double topP) {

    public static final EmulatedFineTuning DEFAULTS = new EmulatedFineTuning(1, 1);

    /** @throws IllegalArgumentException if a setting is out of range */
    public EmulatedFineTuning {
        new TopP(topP);
        if (!(beta > 0) || Double.isInfinite(beta)) {
            throw new IllegalArgumentException("beta is " + beta + ", but must be a number above 0. 1 takes the reward as it is.");
        }
    }

    /** @throws IllegalArgumentException if vocabularies differ */
    public LanguageModel of(LanguageModel base, LanguageModel tuned, LanguageModel untuned) {
        return tilted(base, logProbabilities(tuned).minus(logProbabilities(untuned)));
    }

    /**
     * Between two behaviours of one small model, chosen while writing (section 4.3): the reward is {@code share} of the first
     * fine-tuning's and {@code 1 - share} of the second's.
     *
     * @throws IllegalArgumentException if vocabularies differ
     */
    public LanguageModel between(LanguageModel base, LanguageModel first, LanguageModel second, LanguageModel untuned, double share) {
        LanguageModel mean = Logits.linear(new LanguageModel[] {logProbabilities(first), logProbabilities(second)}, share, 1 - share);
        return tilted(base, mean.minus(logProbabilities(untuned)));
    }

    private LanguageModel tilted(LanguageModel base, LanguageModel difference) {
        LanguageModel start = logProbabilities(base);
        LanguageModel all = start.plus(1 / beta, difference);
        return topP == 1 ? all : Logits.gate(all, start, base, () -> new TopP(topP));
    }
}
