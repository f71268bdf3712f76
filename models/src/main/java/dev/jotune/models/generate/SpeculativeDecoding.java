package dev.jotune.models.generate;

/**
 * Speculative decoding (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", arXiv 2211.17192,
 * algorithm 1): a cheap model drafts some tokens, the model reads them all in one pass and keeps the longest beginning
 * that it agrees with. A drafted token x is kept with probability {@code min(1, p(x) / q(x))}; in place of the first one
 * that is not, a token is drawn from {@code max(0, p - q)}, normalised. So the texts are distributed as the model alone
 * would write them (theorem 3.5), under all settings of {@link SamplingOptions}; without sampling they are the same.
 *
 * @param draft  the cheap model, of the same vocabulary: another model, the same under other adapters, or a combination
 * @param tokens how many tokens it drafts at a time
 */
public record SpeculativeDecoding(LanguageModel draft, int tokens) implements Strategy {

    /** How many tokens are drafted where nobody says. */
    public static final int DEFAULT_TOKENS = 4;

    public SpeculativeDecoding {
        Require.atLeast("num_assistant_tokens", tokens, 1, "It is the number of tokens drafted at a time.");
    }

    /**
     * @throws IllegalArgumentException if the vocabularies differ
     */
    @Override
    public void check(LanguageModel model, SamplingOptions options) {
        if (draft.vocabularySize() != model.vocabularySize()) {
            throw new IllegalArgumentException("The draft model has " + draft.vocabularySize() + " tokens, the model "
                    + model.vocabularySize() + ". Take one with the same tokenizer.");
        }
    }
}
