package dev.jotune.models.generate;

/**
 * Contrastive search (Su et al., "A Contrastive Framework for Neural Text Generation", arXiv 2202.06417, equation 5): of
 * the k likeliest tokens the one with the greatest {@code (1 - alpha) p(v) - alpha max_j cos(h_v, h_j)}, where h_v is
 * the model's final hidden state after the candidate and h_j those of the text so far. What would repeat the text is so
 * kept down, and nothing is drawn at random.
 *
 * @param penaltyAlpha alpha, from 0 (the likeliest token) to 1 (the least similar of the candidates)
 * @param topK         k, the number of candidates
 */
public record ContrastiveSearch(double penaltyAlpha, int topK) implements Strategy {

    /**
     * @throws IllegalArgumentException if a setting is outside its range
     */
    public ContrastiveSearch {
        if (!(penaltyAlpha >= 0 && penaltyAlpha <= 1)) {
            throw new IllegalArgumentException("penalty_alpha is " + penaltyAlpha + ", but must be from 0 to 1. The "
                    + "authors use 0.6.");
        }
        Require.atLeast("top_k", topK, 1, "It is the number of candidates; the authors use 4 to 10.");
    }

    @Override
    public void check(LanguageModel model, SamplingOptions options) {
        if (!(model instanceof StatefulModel)) {
            throw new IllegalArgumentException("Contrastive search compares hidden states, but this combination of models "
                    + "has none. Use one model, or another strategy.");
        }
        if (!options.isGreedy()) {
            throw new IllegalArgumentException("Contrastive search draws nothing at random, but do_sample is on. Leave out "
                    + "the sampling options, or leave out penalty_alpha.");
        }
    }

    /** Every token is read before it is chosen, the last one too. */
    @Override
    public int contextLength(LanguageModel model) {
        return model.contextLength() - 1;
    }
}
