package dev.jotune.peft.decoding;

import static dev.jotune.models.generate.Logits.logProbabilities;

import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;

/**
 * Classifier-free guidance for texts (Sanchez et al., arXiv 2306.17806, equation 7): more of what the prompt changes,
 *
 * <pre>s = ln p(x | text) + gamma (ln p(x | prompt, text) - ln p(x | text))</pre>
 *
 * where the run without the prompt begins with the prompt's last token. gamma = 1 is the model alone, 0 the model without
 * the prompt.
 *
 * @param gamma strength; 1.5 in the paper
 */
public record Guidance(double gamma) {

    public static final Guidance DEFAULTS = new Guidance(1.5);

    /** @throws IllegalArgumentException if gamma is not finite */
    public LanguageModel of(LanguageModel model) {
        LanguageModel without = logProbabilities(
                Logits.prompted(model, 0, prompt -> new int[] {prompt[prompt.length - 1]}));
        return without.plus(gamma, logProbabilities(model).minus(without));
    }
}
