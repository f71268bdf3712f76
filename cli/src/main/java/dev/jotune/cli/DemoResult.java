package dev.jotune.cli;

import dev.jotune.peft.train.TrainReport;
import java.util.List;
import java.util.SequencedMap;

/**
 * What the demo has to tell.
 *
 * @param settings name and value, for people
 * @param prompts the fixed prompts
 * @param before for each prompt its continuations by the bare model
 * @param after the same with the tuned prefix
 */
record DemoResult(SequencedMap<String, String> settings, TrainReport training, List<String> prompts,
        List<List<String>> before, List<List<String>> after, double seconds, double samplingTokensPerSecond) {
    Excitement excitementBefore() {
        return Excitement.of(flat(before));
    }

    Excitement excitementAfter() {
        return Excitement.of(flat(after));
    }

    private static List<String> flat(List<List<String>> all) {
        return all.stream().flatMap(List::stream).toList();
    }
}
