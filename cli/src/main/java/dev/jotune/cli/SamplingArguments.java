package dev.jotune.cli;

import dev.jotune.models.generate.SamplingOptions;
import java.util.ArrayList;
import java.util.List;
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

    /**
     * @param endTokens the model's
     * @throws UsageException naming an option that is out of range
     */
    SamplingOptions read(int[] endTokens) {
        boolean draws = temperature != null ? temperature != 0 : topK != null || topP != null || minP != null;
        try {
            return SamplingOptions.builder().doSample(draws).temperature(temperature == null ? 1 : temperature)
                    .topK(topK == null ? 0 : topK).topP(topP == null ? 1 : topP).minP(minP == null ? 0 : minP)
                    .repetitionPenalty(repetitionPenalty).maxNewTokens(maxNewTokens).seed(seed).stopStrings(stop)
                    .eosTokenIds(endTokens).build();
        } catch (IllegalArgumentException e) {
            throw new UsageException(e.getMessage(), e);
        }
    }
}
