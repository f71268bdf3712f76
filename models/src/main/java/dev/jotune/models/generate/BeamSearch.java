package dev.jotune.models.generate;

/**
 * Beam search: the k likeliest beginnings are continued side by side, and of those that end, the best by
 * {@code log p(text) / length^lengthPenalty} are the result; length counts new tokens, the end token too. The settings
 * mean what those of Hugging Face's generate mean, and give the same texts and scores.
 *
 * <p>With {@link EarlyStopping#TRUE} the search ends when {@code patience * k} texts have ended, as Kasai et al. define
 * it ("A Call for Clarity in Beam Search: How It Works and When It Stops", arXiv 2204.05424, section 3): patience 1 is
 * the usual first-come, first-served rule, more looks further, less stops sooner, and infinity searches up to the
 * greatest length. At most so many ended texts are kept, the best ones.
 *
 * @param beams           k
 * @param lengthPenalty   above 0 favours long texts, below 0 short ones
 * @param earlyStopping   when to stop looking
 * @param patience        above 0; 1 unless early stopping is on
 * @param returnSequences how many texts to give for each prompt
 */
public record BeamSearch(int beams, double lengthPenalty, EarlyStopping earlyStopping, double patience,
                         int returnSequences) implements Strategy {

    /** When the search ends, once k texts have ended. */
    public enum EarlyStopping {
        /** When the best running beam, had it ended now, would not be better than the worst text kept. */
        FALSE,
        /** At once. */
        TRUE,
        /** When no running beam can become better than the worst text kept, however it goes on. */
        NEVER
    }

    /**
     * @throws IllegalArgumentException if a setting is outside its range
     */
    public BeamSearch {
        Require.atLeast("num_beams", beams, 1, "It is the number of texts in view.");
        if (!Double.isFinite(lengthPenalty)) {
            throw new IllegalArgumentException("length_penalty is " + lengthPenalty + ", but must be a finite number. "
                    + "Use 1 for the mean log-probability, 0 for the sum.");
        }
        if (!(patience > 0)) {
            throw new IllegalArgumentException("patience is " + patience + ", but must be above 0. Use 1 for the usual "
                    + "rule.");
        }
        if (patience != 1 && earlyStopping != EarlyStopping.TRUE) {
            throw new IllegalArgumentException("patience is " + patience + ", but early_stopping is " + earlyStopping
                    + ". Patience is a factor of the rule that early_stopping TRUE sets: set it.");
        }
        Require.atLeast("num_return_sequences", returnSequences, 1, "Ask for at least one text.");
        double kept = earlyStopping == EarlyStopping.TRUE ? Math.ceil(beams * patience) : beams;
        if (returnSequences > kept) {
            throw new IllegalArgumentException("num_return_sequences is " + returnSequences + ", but a search with "
                    + beams + " beams and patience " + patience + " keeps " + (long) kept + " texts. Ask for fewer, or "
                    + "raise num_beams or patience.");
        }
    }

    /** k beams, the length penalty 1, no early stopping, one text. */
    public static BeamSearch of(int beams) {
        return new BeamSearch(beams, 1, EarlyStopping.FALSE, 1, 1);
    }

    public BeamSearch withLengthPenalty(double value) {
        return new BeamSearch(beams, value, earlyStopping, patience, returnSequences);
    }

    public BeamSearch withEarlyStopping(EarlyStopping value) {
        return new BeamSearch(beams, lengthPenalty, value, patience, returnSequences);
    }

    /** With early stopping after {@code value * k} texts. */
    public BeamSearch withPatience(double value) {
        return new BeamSearch(beams, lengthPenalty, EarlyStopping.TRUE, value, returnSequences);
    }

    public BeamSearch withReturnSequences(int value) {
        return new BeamSearch(beams, lengthPenalty, earlyStopping, patience, value);
    }

    /** How many ended texts are kept. */
    int kept() {
        return earlyStopping == EarlyStopping.TRUE ? (int) Math.min(Integer.MAX_VALUE, Math.ceil(beams * patience)) : beams;
    }

    @Override
    public void check(LanguageModel model, SamplingOptions options) {
        if (!options.isGreedy()) {
            throw new IllegalArgumentException("Beam search looks for the likeliest texts, but do_sample is on. Leave out "
                    + "the sampling options, or leave out num_beams.");
        }
    }
}
