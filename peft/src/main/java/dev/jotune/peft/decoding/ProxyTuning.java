package dev.jotune.peft.decoding;

import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;

/**
 * Proxy-tuning (Liu et al., arXiv 2401.08565, equation 1); its formula is that of DExperts (Liu et al., arXiv 2105.03023):
 *
 * <pre>p(x_t | x_&lt;t) = softmax(s_M + alpha (s_expert - s_anti))</pre>
 *
 * on logits s [V]: M is large and untouched, the expert small and tuned, the anti-expert the small model before tuning.
 * With M = anti it is the expert, with expert = anti it is M. Temperature and cut-offs come after.
 *
 * @param alpha how much of the small models' difference is added; 1 in the paper
 */
public record ProxyTuning(double alpha) {

    public static final ProxyTuning DEFAULTS = new ProxyTuning(1);

    /**
     * The tuned large model. Experts whose vocabulary is padded to more tokens than the base's are cut to it, as the paper does.
     *
     * @throws IllegalArgumentException if an expert has fewer tokens than the base, or alpha is not finite
     */
    public LanguageModel of(LanguageModel base, LanguageModel expert, LanguageModel anti) {
        int size = base.vocabularySize();
        return base.plus(alpha, Logits.cut(expert, size).minus(Logits.cut(anti, size)));
    }
}
