package dev.jotune.peft.decoding;

import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import dev.jotune.models.generate.MinP;

/**
 * Contrastive decoding on logits (O'Brien and Lewis, arXiv 2309.09117, equation 2):
 *
 * <pre>
 * s(x) = (1 + beta) s_expert(x) - beta s_amateur(x)   where p_expert(x) &gt;= alpha max_w p_expert(w),   else -infinity
 * </pre>
 *
 * So beta = 0 is the expert alone, and a temperature keeps its usual meaning.
 *
 * @param plausible alpha, in (0, 1]; 0.1 in the paper
 * @param beta strength; 0.5 in the paper
 */
public record ContrastiveLogits(double plausible, double beta) {

    public static final ContrastiveLogits DEFAULTS = new ContrastiveLogits(0.1, 0.5);

    /** @throws IllegalArgumentException if alpha is out of range */
    public ContrastiveLogits {
        new MinP(plausible);
    }

    /** @throws IllegalArgumentException if vocabularies differ, or beta is not finite */
    public LanguageModel of(LanguageModel expert, LanguageModel amateur) {
        return Logits.mask(expert.plus(beta, expert.minus(amateur)), expert, () -> new MinP(plausible));
    }
}
