package dev.jotune.models.generate;

import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What all texts of a generator are to obey.
 *
 * @param extra      processors applied before those of the options, one made for each text
 * @param constraint what a text may consist of
 * @param stop       ends texts, beside what the options say
 */
record TextRules(SamplingOptions options, List<Supplier<? extends LogitsProcessor>> extra,
                 Optional<TokenAutomaton> constraint, List<StopCondition> stop) {

    TextRules {
        extra = List.copyOf(extra);
        stop = List.copyOf(stop);
    }
}
