package dev.jotune.peft.decoding;

import static dev.jotune.models.generate.Logits.logProbabilities;

import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.MinP;

/**
 * Contrastive decoding (Li et al., arXiv 2210.15097, equations 2 and 3): what a strong model says more than a weak one, among
 * the tokens that the strong one finds plausible,
 *
 * <pre>
 * s(x) = ln p_expert(x) - ln p_amateur(x)   if p_expert(x) &gt;= alpha max_w p_expert(w),   else -infinity
 * </pre>
 *
 * Without the mask a token that both find absurd could win.
 *
 * @param plausible alpha, in (0, 1]; 0.1 in the paper
 * @param amateurTemperature what the amateur's logits are divided by first; 1, or 0.5, in the paper
 */
public record ContrastiveDecoding(double plausible, double amateurTemperature) {

    public static final ContrastiveDecoding DEFAULTS = new ContrastiveDecoding(0.1, 1);

    /** @throws IllegalArgumentException if a setting is out of range */
    public ContrastiveDecoding {
        new MinP(plausible);
        if (!(amateurTemperature > 0) || Double.isInfinite(amateurTemperature)) {
            throw new IllegalArgumentException("The amateur's temperature is " + amateurTemperature
                    + ", but must be a number above 0. 1 leaves the amateur as it is.");
        }
    }

    /** @throws IllegalArgumentException if vocabularies differ */
    public LanguageModel of(LanguageModel expert, LanguageModel amateur) {
        LanguageModel difference = logProbabilities(expert).minus(logProbabilities(amateur.times(1 / amateurTemperature)));
        return Logits.mask(difference, expert, () -> new MinP(plausible));
    }
}
