package dev.jotune.peft.decoding;

import dev.jotune.models.generate.Evidence;
import dev.jotune.models.generate.LanguageModel;
import dev.jotune.models.generate.Logits;
import java.util.List;

/**
 * Air-Decoding (Zhong et al., arXiv 2310.14892, equations 6 to 9): models of attributes, one base under trained prefixes, tell
 * by Bayes' rule how likely a text has the wanted attribute if x comes next, and the base is re-weighted by it:
 *
 * <pre>
 * p(x) ~ p_base(x) P(a | x, x_&lt;t)^lambda,   P(a | x, x_&lt;t) = r_a(x) w_a / sum_b r_b(x) w_b,
 * r_a(x) = -1 / ln p_a(x),   w_a = prod over the text after the prompt of r_a(x_s)
 * </pre>
 *
 * With {@code r = p} instead it is GeDi (arXiv 2009.06367), whose texts fall apart where lambda is large.
 *
 * @param lambda control strength: 140 for sentiment, 60 for topics, 120 against toxicity in the paper, with {@code top_k} 200
 * @param evidence what r is
 */
public record AirDecoding(double lambda, Evidence evidence) {

    public static final AirDecoding DEFAULTS = new AirDecoding(140, Evidence.RECONSTRUCTED);

    /**
     * The steered base.
     *
     * @param attributes at least two
     * @param wanted which of them, from 0
     * @throws IllegalArgumentException if vocabularies differ, or there is no such attribute
     */
    public LanguageModel of(LanguageModel base, List<LanguageModel> attributes, int wanted) {
        return base.plus(lambda, Logits.posterior(attributes, wanted, evidence));
    }
}
