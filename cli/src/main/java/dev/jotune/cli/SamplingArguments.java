package dev.jotune.cli;

import dev.jotune.models.GenerationDefaults;
import dev.jotune.models.generate.SamplingOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import picocli.CommandLine.Option;

/** How tokens are chosen, named as transformers' generation config names it. */
final class SamplingArguments {
    @Option(names = "--max-new-tokens", paramLabel = "N", description = "Default: 200.")
    private int maxNewTokens = 200;

    @Option(names = "--temperature", paramLabel = "X", description = "Draw tokens, this boldly; 0 always takes the most likely "
            + "one. Default: 0, or 1 if another sampling option is given.")
    private Double temperature;

    @Option(names = "--top-k", paramLabel = "N", description = "Draw from the N most likely tokens.")
    private Integer topK;

    @Option(names = "--top-p", paramLabel = "X", description = "Draw from the likely tokens of this total probability.")
    private Double topP;

    @Option(names = "--min-p", paramLabel = "X", description = "Draw from tokens of at least this share of the best one's "
            + "probability.")
    private Double minP;

    @Option(names = "--repetition-penalty", paramLabel = "X", description = "Above 1 discourages what was said. Default: 1.")
    private double repetitionPenalty = 1;

    @Option(names = "--seed", paramLabel = "N", description = "The same seed draws the same text. Default: 0.")
    private long seed;

    @Option(names = {"--stop", "--stop-strings"}, paramLabel = "TEXT", description = "Ends the text before TEXT; repeatable.")
    private List<String> stop = new ArrayList<>();

    @Option(names = "--min-new-tokens", paramLabel = "N", description = "No end token before so many. Default: 0.")
    private int minNewTokens;

    @Option(names = "--no-repeat-ngram-size", paramLabel = "N", description = "Lets no N tokens come twice in a row. Default: off.")
    private int noRepeatNgramSize;

    /** What {@code --top-k} says; empty if nothing. */
    OptionalInt topK() {
        return topK == null ? OptionalInt.empty() : OptionalInt.of(topK);
    }

    /**
     * @param model its special tokens
     * @param draws whether {@code --top-k} is about drawing tokens
     * @throws UsageException naming an option that is out of range
     */
    SamplingOptions read(GenerationDefaults model, boolean draws) {
        boolean drawn = temperature != null ? temperature != 0 : topK != null && draws || topP != null || minP != null;
        GenerationDefaults.Forced forced = model.forced();
        try {
            return SamplingOptions.builder().doSample(drawn).temperature(temperature == null ? 1 : temperature)
                    .topK(topK == null ? 0 : topK).topP(topP == null ? 1 : topP).minP(minP == null ? 0 : minP)
                    .repetitionPenalty(repetitionPenalty).noRepeatNgramSize(noRepeatNgramSize).minNewTokens(minNewTokens)
                    .maxNewTokens(maxNewTokens).seed(seed).stopStrings(stop).eosTokenIds(model.eosTokenIds())
                    .forcedBosTokenId(forced.bosTokenId()).forcedEosTokenIds(forced.eosTokenIds())
                    .suppressTokens(forced.suppressTokens()).beginSuppressTokens(forced.beginSuppressTokens()).build();
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }
}
