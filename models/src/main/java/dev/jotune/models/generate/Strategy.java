package dev.jotune.models.generate;

import java.util.List;

/** How a text is looked for: token by token, or with several in view. */
public sealed interface Strategy permits Strategy.Stepwise, BeamSearch, ContrastiveSearch, SpeculativeDecoding {

    /** Token by token: the most likely one, or one drawn, as {@link SamplingOptions} say. */
    Strategy STEPWISE = new Stepwise();

    /** Token by token. */
    record Stepwise() implements Strategy {
    }

    /**
     * Refuses what does not go with the strategy.
     *
     * @throws IllegalArgumentException saying which settings contradict each other
     */
    default void check(LanguageModel model, SamplingOptions options) {
    }

    /** How many tokens of a text must fit into the model's context besides a last one that is not read any more. */
    default int contextLength(LanguageModel model) {
        return model.contextLength();
    }

    /**
     * Writes.
     *
     * @return for each text what was found, the best first
     */
    default List<List<Hypothesis>> write(LanguageModel model, List<Writing> texts) {
        return switch (this) {
            case Stepwise _ -> StepwiseDecoder.write(model, texts);
            case BeamSearch beam -> new BeamDecoder(model, beam).write(texts);
            case ContrastiveSearch search -> new ContrastiveDecoder(model, search).write(texts);
            case SpeculativeDecoding speculative -> new SpeculativeDecoder(model, speculative).write(texts);
        };
    }
}
